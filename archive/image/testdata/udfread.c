/* Lists a UDF volume with libudfread: for each file its size, the CRC-32 of its bytes, and its path, separated and ended by NULs. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <udfread/udfread.h>

static uint32_t crc(uint32_t c, const unsigned char *p, ssize_t n) {
    for (c = ~c; n-- > 0; p++) {
        c ^= *p;
        for (int k = 0; k < 8; k++) c = c >> 1 ^ (0xEDB88320 & -(c & 1));
    }
    return ~c;
}

static int walk(UDFDIR *dir, const char *path) {
    struct udfread_dirent e;
    static unsigned char buf[1 << 16];
    while (udfread_readdir(dir, &e)) {
        char child[8192];
        if (!strcmp(e.d_name, ".") || !strcmp(e.d_name, "..")) continue;
        snprintf(child, sizeof child, "%s%s%s", path, *path ? "/" : "", e.d_name);
        if (e.d_type == UDF_DT_DIR) {
            UDFDIR *sub = udfread_opendir_at(dir, e.d_name);
            if (!sub || walk(sub, child)) return fprintf(stderr, "directory %s\n", child), 1;
            udfread_closedir(sub);
            continue;
        }
        UDFFILE *f = udfread_file_openat(dir, e.d_name);
        if (!f) return fprintf(stderr, "file %s\n", child), 1;
        uint32_t c = 0;
        ssize_t n;
        int64_t size = udfread_file_size(f);
        if (size < 1 << 28)
            while ((n = udfread_file_read(f, buf, sizeof buf)) > 0) c = crc(c, buf, n);
        printf("%lld%c%08x%c%s%c", (long long)size, 0, c, 0, child, 0);
        udfread_file_close(f);
    }
    return 0;
}

int main(int argc, char **argv) {
    udfread *u = udfread_init();
    if (argc != 2 || !u || udfread_open(u, argv[1])) return fprintf(stderr, "open\n"), 1;
    UDFDIR *root = udfread_opendir(u, "/");
    return !root || walk(root, "");
}
