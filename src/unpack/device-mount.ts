// Room: unpack. Owns the mount of the device that layers are written to: one at a time, kept between the layers of a chain.
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
    const { devicePath: source, fsType, mountOptions: options } = request;
    const kept = this.#mounted;
    if (kept?.devicePath === source && this.#keeps(() => wake(kept.fd, source))) return kept.root;
    this[Symbol.dispose]();
    using scope = new DisposableStack();
    const { fd } = scope.use(mountDetached({ source, fsType, options, readOnly: false }));
    const root = must(openDirectoryBelow(fd, "" as ByteString), `open root of ${source}`, "/" as ByteString);
    scope.defer(() => closeDescriptor(root));
    this.#mounted = { devicePath: source, fd, root, scope: scope.move() };
    return root;
  }

  /** Keeps the mount for the next layer, in a state in which a checkpoint of the device can be taken. */
  rest(): void {
    const { fd, devicePath } = this.#mounted ?? {};
    if (fd !== undefined && devicePath !== undefined) this.#keeps(() => bringToRest(fd, devicePath));
  }

  /** What refuses to change its state is unmounted: a layer then costs a mount, and nothing else. */
  #keeps(change: () => void): boolean {
    try {
      change();
      return true;
    } catch {
      this[Symbol.dispose]();
      return false;
    }
  }

  /** Unmounts what is mounted. */
  [Symbol.dispose](): void {
    this.#mounted?.scope.dispose();
    this.#mounted = undefined;
  }
}
