# Makes, in the directory given, all that GNU tar can carry; by system calls alone.
import os, random, stat, sys
os.chdir(sys.argv[1].encode()); os.umask(0)
random.seed(7)
def write(name, content, mode=0o644):
    with open(name, "wb") as f: f.write(content)
    os.chmod(name, mode)
os.mkdir(b"plain", 0o755)
for size in (0, 1, 511, 512, 513, 1024, 70000, 3 * 2**20 + 5):
    write(b"plain/size-%d" % size, random.randbytes(size))
os.mkdir(b"names")
write(b"names/" + b"n" * 255, b"long")
write(b"names/" + bytes(b for b in range(1, 256) if b != 47), b"every byte")
write(b"names/\xff\xfe not utf-8", b"x"); write("names/\u00fc\u4f60".encode(), b"utf-8"); write(b"names/new\nline", b"x")
os.symlink(b"\xff\xfe target", b"names/link-\xe9")
deep = b"names"
for i in range(12):
    deep += b"/" + b"%02d-" % i + b"d" * 60; os.mkdir(deep)
write(deep + b"/file", b"deep"); os.symlink(b"t" * 3000, deep + b"/link")
os.link(deep + b"/file", deep + b"/hard link with a long name " + b"h" * 100)
for length in (98, 99, 100, 101, 154, 155, 156, 157):
    write(b"names/" + b"x" * (length - 6), b"edge")
os.mkdir(b"modes", 0o1777); os.chmod(b"modes", 0o1777)
for mode in (0, 0o400, 0o777, 0o4755, 0o2755, 0o6711, 0o1644):
    write(b"modes/%o" % mode, b"m", mode)
os.chown(b"modes/4755", 1000, 1001); os.chmod(b"modes/4755", 0o4755)
os.chown(b"modes/0", 3000000, 4000000)
os.mkdir(b"setgid", 0o755); os.chown(b"setgid", 0, 50); os.chmod(b"setgid", 0o2775)
write(b"setgid/f", b"x"); os.chown(b"setgid/f", 0, 0); os.mkdir(b"setgid/d"); os.chmod(b"setgid/d", 0o755); os.chown(b"setgid/d", 0, 0)
os.mkdir(b"special")
os.mkfifo(b"special/fifo", 0o620); os.mknod(b"special/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
os.mknod(b"special/disk", stat.S_IFBLK | 0o660, os.makedev(259, 70000)); os.chown(b"special/disk", 0, 6)
os.symlink(b"/absolute/../nowhere", b"special/dangling"); os.lchown(b"special/dangling", 12, 13)
os.mkdir(b"xattrs")
write(b"xattrs/many", b"x")
for i in range(20): os.setxattr(b"xattrs/many", b"user.key%d" % i, random.randbytes(i * 5))
os.setxattr(b"xattrs/many", b"user.equals=and%percent", b"=\n\0")
os.setxattr(b"xattrs/many", b"trusted.secret", b"t"); os.setxattr(b"xattrs", b"user.dir", b"d")
write(b"xattrs/ping", b"x", 0o755); os.chown(b"xattrs/ping", 7, 8); os.chmod(b"xattrs/ping", 0o4755)
os.setxattr(b"xattrs/ping", b"security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
os.setxattr(b"special/dangling", b"trusted.link", b"l", follow_symlinks=False)
os.mkdir(b"links"); write(b"links/a", b"linked")
os.link(b"links/a", b"links/b"); os.link(b"links/a", b"plain/c"); os.symlink(b"a", b"links/s"); os.link(b"links/s", b"links/s2", follow_symlinks=False)
os.mkdir(b"times")
for name, ns in ((b"epoch", 0), (b"old", -10**18 - 1), (b"half", -500000000), (b"ns", 1234567890123456789), (b"late", 7 * 10**18)):
    write(b"times/" + name, b"x"); os.utime(b"times/" + name, ns=(ns + 10**9, ns))
os.mkdir(b"sparse")
def holes(name, size, parts):
    with open(name, "wb") as f:
        for at, content in parts: f.seek(at); f.write(content)
        f.truncate(size)
holes(b"sparse/all-hole", 5 * 2**20, [])
holes(b"sparse/few", 8 * 2**20 + 17, [(0, b"start"), (4 * 2**20, b"x" * 5000)])
holes(b"sparse/many", 60 * 65536, [(i * 65536, b"%d" % i) for i in range(60)])
holes(b"sparse/tail", 3 * 2**20, [(3 * 2**20 - 3, b"end")])
holes(b"sparse/" + b"long-name-" * 15, 2**20, [(524288, b"mid")])
for root, dirs, files in os.walk(b".", topdown=False): os.utime(root, ns=(5, 1600000000123456789))
