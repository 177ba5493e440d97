// Room: test. Owns a minimal client of containerd's CRI image service, with which Kubernetes pulls.
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";

/**
 * Messages by their published field numbers (kubernetes/cri-api, runtime/v1/api.proto): PullImageRequest and
 * RemoveImageRequest have `ImageSpec image = 1`, ImageSpec has `string image = 1`, PullImageResponse `string
 * image_ref = 1`.
 */
const imageRequest = (reference: string): Buffer => {
  const spec = new BinaryWriter().tag(1, 2).string(reference).finish();
  return Buffer.from(new BinaryWriter().tag(1, 2).bytes(spec).finish());
};

function firstString(message: Buffer): string {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) return reader.string();
    reader.skip(wireType, field);
  }
  return "";
}

export class ImageService implements Disposable {
  readonly #client: Client;

  /** `address`: path of containerd's socket. */
  constructor(address: string) {
    this.#client = new Client(`unix:${address}`, credentials.createInsecure());
  }

  /** Pulls and unpacks; returns the image's ID. */
  pull = (reference: string): Promise<string> => this.#call("PullImage", reference);
  remove = (reference: string): Promise<string> => this.#call("RemoveImage", reference);

  #call(method: string, reference: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/runtime.v1.ImageService/${method}`,
        imageRequest,
        firstString,
        reference,
        { deadline: Date.now() + 120_000 },
        (error: ServiceError | null, answer?: string) => {
          if (error === null) resolve(answer ?? "");
          else reject(error);
        },
      );
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
