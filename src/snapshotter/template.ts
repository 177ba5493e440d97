// Room: snapshotter. Owns template devices: formatted once, then snapshotted for every base, so that a base does not wait for mkfs.
import type { FsType } from "../domain/devices.ts";
import type { OperationId } from "../domain/identifiers.ts";
import { transact } from "../metadata/database.ts";
import {
  type DeviceRecord,
  findTemplate,
  insertDevice,
  listTemplates,
  setDeviceState,
  touchTemplate,
} from "../metadata/devices.ts";
import { makeFileSystem, makingOptions } from "../system/mount/filesystems.ts";
import type { Context } from "./context.ts";
import { recordTakenBack, retire, takeBack } from "./device-removal.ts";

export interface TemplateRequest {
  readonly fsType: FsType;
  readonly sizeBytes: number;
  readonly operationId: OperationId;
}

/** The template of that size and file system; it is made if there is none. Throws what driver and mkfs throw. */
export async function ensureTemplate(context: Context, request: TemplateRequest): Promise<DeviceRecord> {
  const { database } = context;
  // The default options count as well: another version may have others, and needs a template of its own.
  const options = (context.fsOptions ?? makingOptions(request.fsType)).join(" ");
  const templateKey = `${request.fsType}, ${request.sizeBytes} bytes, ${options}`;
  const ready = findTemplate(database, templateKey);
  if (ready !== undefined) return ready;
  const template = transact(database, () => insertDevice(database, { ...request, templateKey }));
  try {
    await format(context, template);
  } catch (error) {
    const gone = await takeBack(context, template);
    transact(database, () => recordTakenBack(context, template, gone));
    throw error;
  }
  transact(database, () => {
    setDeviceState(database, template.number, "deactivated");
    touchTemplate(database, template.number);
    const ready = listTemplates(database);
    for (const old of ready.slice(0, Math.max(0, ready.length - maxTemplates))) retire(context, old);
  });
  return template;
}

/** Callers choose the sizes, so the number of templates must be limited: this many are kept. */
export const maxTemplates = 8;
const unusedForMs = 30 * 24 * 3600 * 1000;

/** Templates that were not used for a month. Devices that were made from one do not need it. */
export const staleTemplates = ({ database }: Context): DeviceRecord[] =>
  listTemplates(database).filter(({ lastUsedAtMs = Date.now() }) => lastUsedAtMs < Date.now() - unusedForMs);

/** Leaves their removal to jobs. */
export function retireTemplates(context: Context, templates: readonly DeviceRecord[]): void {
  if (templates.length === 0) return;
  transact(context.database, () => {
    for (const template of templates) retire(context, template);
  });
}

async function format({ driver, fsOptions, reach }: Context, template: DeviceRecord): Promise<void> {
  reach("template.intended");
  await driver.create(template);
  await driver.activate(template);
  await makeFileSystem({
    devicePath: driver.devicePath(template.deviceName),
    fsType: template.fsType,
    fresh: true,
    ...(fsOptions !== undefined && { options: fsOptions }),
  });
  reach("template.formatted");
  await driver.flush(template);
  await driver.deactivate(template);
  reach("template.rested");
}
