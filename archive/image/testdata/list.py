"""Lists an image with pycdlib: for each file its size, the CRC-32 of its bytes, and its path, separated and ended by NULs."""
import io
import sys
import zlib

import pycdlib

iso = pycdlib.PyCdlib()
iso.open(sys.argv[1])
side = sys.argv[2]  # udf_path or rr_path
for path, _, names in iso.walk(**{side: "/"}):
    for name in names:
        full = path.rstrip("/") + "/" + name
        record = iso.get_record(**{side: full})
        size = record.get_data_length()
        crc = 0
        if size < 1 << 28:
            data = io.BytesIO()
            iso.get_file_from_iso_fp(data, **{side: full})
            size = len(data.getvalue())
            crc = zlib.crc32(data.getvalue())
        sys.stdout.buffer.write(b"%d\0%08x\0%s\0" % (size, crc, full[1:].encode("utf-8", "surrogateescape")))
iso.close()
