// Room: unpack. Owns the mount of the device that layers are written to: one at a time, kept between the layers of a chain.
import { asSnapmillError, internal } from "../domain/errors.ts";
import { mountDetached } from "../system/mount/detached.ts";
import { bringToRest, wake } from "../system/mount/rest.ts";
import type { ByteString } from "../system/tree/bytes.ts";
import { must } from "../system/tree/calls.ts";
import { closeDescriptor, openDirectoryBelow } from "../system/tree/tree.ts";
import type { ApplyRequest } from "./protocol.ts";

interface Mounted {
  readonly devicePath: string;
  /** The descriptor of the mount. */
  readonly fd: number;
  /** Of the file system's root directory: opened before the first write, since syncfs reports the failures since then. */
  readonly root: number;
  readonly scope: DisposableStack;
}

export class DeviceMount implements Disposable {
  #mounted: Mounted | undefined;

  /** The root directory of the device's file system, which can be written to: mounted now, or kept by `rest`. */
  open(request: Pick<ApplyRequest, "devicePath" | "fsType" | "mountOptions">): number {
    if (this.#mounted?.devicePath === request.devicePath) return this.#goOn(this.#mounted);
    this[Symbol.dispose]();
    const { devicePath: source, fsType, mountOptions: options } = request;
    using scope = new DisposableStack();
    const { fd } = scope.use(mountDetached({ source, fsType, options, readOnly: false }));
    const root = must(openDirectoryBelow(fd, "" as ByteString), `open root of ${source}`, "/" as ByteString);
    scope.defer(() => closeDescriptor(root));
    this.#mounted = { devicePath: source, fd, root, scope: scope.move() };
    return root;
  }

  #goOn({ devicePath, fd, root }: Mounted): number {
    try {
      wake(fd, devicePath);
      return root;
    } catch (error) {
      this[Symbol.dispose]();
      throw internal(`${devicePath} cannot be written to any more: ${asSnapmillError(error).message}`, error);
    }
  }

  /** Keeps the mount for the next layer; until then a checkpoint of the device can be taken. */
  rest(): void {
    if (this.#mounted !== undefined) bringToRest(this.#mounted.fd, this.#mounted.devicePath);
  }

  /** Unmounts what is mounted. */
  [Symbol.dispose](): void {
    this.#mounted?.scope.dispose();
    this.#mounted = undefined;
  }
}
