// Room: api. Owns where the operations on images are found over HTTP: a part of endpoints.ts.

const images = "/v1/pools/{pool}/images";

export const imageEndpoints = {
  listImages: {
    method: "GET",
    path: images,
    role: "read",
    kind: "read",
    tag: "images",
    summary: "The unpacked images, once for each of their names, each with its snapshot and the space that it takes",
  },
  unpack: {
    method: "POST",
    path: `${images}/unpack`,
    role: "operate",
    kind: "long",
    tag: "images",
    summary: "Unpack an image; once accepted, it goes on whoever waits for it",
  },
  planUnpack: {
    method: "POST",
    path: `${images}/plan`,
    role: "operate",
    kind: "long",
    tag: "images",
    summary: "What the unpack of images would fetch and write, and whether there is room for it; fetches no layer",
  },
  cancelUnpack: {
    method: "POST",
    path: `${images}/cancel`,
    role: "operate",
    kind: "change",
    tag: "images",
    summary: "Cancel an accepted unpack, by its operation ID",
  },
  removeImages: {
    method: "POST",
    path: `${images}/remove`,
    role: "operate",
    kind: "change",
    tag: "images",
    summary: "Remove names of images; an image goes with its last name, with every layer that nothing else uses",
  },
  pruneImages: {
    method: "POST",
    path: `${images}/prune`,
    role: "operate",
    kind: "long",
    tag: "images",
    summary: "Remove images that were not requested lately, by rules, never pinned ones",
  },
  pinImages: {
    method: "POST",
    path: `${images}/pin`,
    role: "operate",
    kind: "change",
    tag: "images",
    summary: "Protect images from removal",
  },
  unpinImages: {
    method: "POST",
    path: `${images}/unpin`,
    role: "operate",
    kind: "change",
    tag: "images",
    summary: "Allow pinned images to be removed again",
  },
} as const;
