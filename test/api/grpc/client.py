"""A client of the snapshots service in another language: makes all ten calls, and prints what it saw as one JSON object.

Usage: client.py SOCKET DESCRIPTORS, where DESCRIPTORS is a file with a FileDescriptorSet of the protocol.
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

address, descriptors = sys.argv[1:]
pool = descriptor_pool.DescriptorPool()
with open(descriptors, "rb") as file:
    for proto in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
        pool.Add(proto)
service = pool.FindServiceByName("containerd.services.snapshots.v1.Snapshots")


def class_of(descriptor):
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def method(channel, name):
    found = service.methods_by_name[name]
    path = f"/{service.full_name}/{name}"
    request, response = class_of(found.input_type), class_of(found.output_type)
    make = channel.unary_stream if name == "List" else channel.unary_unary
    call = make(path, request_serializer=request.SerializeToString, response_deserializer=response.FromString)
    return lambda **fields: call(request(**fields), timeout=30)


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    return ["OK", ""]


with grpc.insecure_channel(f"unix:{address}") as channel:
    prepare, view, mounts, commit, remove, stat, update, list_all, usage, cleanup = (
        method(channel, name)
        for name in ("Prepare", "View", "Mounts", "Commit", "Remove", "Stat", "Update", "List", "Usage", "Cleanup")
    )
    seen = {}
    prepared = prepare(snapshotter="snapmill", key="py/1/a b", labels={"containerd.io/snapshot.ref": "ünï"})
    seen["mounts"] = [[m.type, m.source, list(m.options)] for m in prepared.mounts]
    seen["same mounts"] = mounts(key="py/1/a b") == prepared or list(mounts(key="py/1/a b").mounts) == list(prepared.mounts)
    seen["active usage"] = usage(key="py/1/a b").size
    commit(key="py/1/a b", name="py/2/layer", labels={"one": "1", "two": "2"})
    seen["view options"] = list(view(key="py/3/view", parent="py/2/layer").mounts[0].options)
    info = update(info={"name": "py/2/layer", "labels": {"one": "new"}}, update_mask={"paths": ["labels.one", "labels.two"]}).info
    seen["updated"] = dict(info.labels)
    info = stat(key="py/2/layer").info
    seen["stat"] = [info.name, info.parent, info.kind, dict(info.labels)]
    seen["times"] = [info.created_at.ToMilliseconds(), info.updated_at.ToMilliseconds()]
    seen["listed"] = [[i.name, i.parent, i.kind] for block in list_all(filters=["name~=^py/"]) for i in block.info]
    seen["committed usage"] = usage(key="py/2/layer").size
    cleanup()
    seen["not found"] = failure(lambda: stat(key="пусто"))
    seen["exists"] = failure(lambda: prepare(key="py/3/view"))
    seen["has children"] = failure(lambda: remove(key="py/2/layer"))
    seen["bad filter"] = failure(lambda: list(list_all(filters=["=="])))
    remove(key="py/3/view")
    remove(key="py/2/layer")
    seen["left"] = sum(len(block.info) for block in list_all())
    json.dump(seen, sys.stdout)
