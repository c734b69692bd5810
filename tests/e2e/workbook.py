"""workbook.py DIRECTORY WAY VERSIONS ROWS: saves a workbook VERSIONS times into DIRECTORY, a file each, one cell edited
between two. WAY is who deflates it: "excel" (what Microsoft Excel's streams were found to be: zlib at level 1, memory
level 7, tuned, with flushes behind all bytes), "parted" (as those of 2019 and later: the sheet's rows flushed from what
is before and behind them), or "other", which is nobody's: zlib with settings that none of Daybook's recipes has, so that
it has to go by the streams' own choices. Of a save by Excel that models the sheet, a shared string and the time in the
properties."""
import ctypes, random, struct, sys, zlib

SYNC, PARTIAL, FULL, FINISH, NONE = 2, 1, 3, 4, 0


class Stream(ctypes.Structure):
    _fields_ = [('next_in', ctypes.c_char_p), ('avail_in', ctypes.c_uint), ('total_in', ctypes.c_ulong),
                ('next_out', ctypes.c_void_p), ('avail_out', ctypes.c_uint), ('total_out', ctypes.c_ulong),
                ('msg', ctypes.c_char_p), ('state', ctypes.c_void_p), ('zalloc', ctypes.c_void_p),
                ('zfree', ctypes.c_void_p), ('opaque', ctypes.c_void_p), ('data_type', ctypes.c_int),
                ('adler', ctypes.c_ulong), ('reserved', ctypes.c_ulong)]


library = ctypes.CDLL('libz.so.1')  # Python's own zlib does not tune
library.zlibVersion.restype = ctypes.c_char_p


def deflate(data, level, memory, tuning, parts):
    """The stream of data: parts are (bytes, flush) in turn."""
    stream = Stream()
    if library.deflateInit2_(ctypes.byref(stream), level, 8, -15, memory, 0, library.zlibVersion(),
                             ctypes.sizeof(stream)):
        sys.exit('deflateInit2')
    library.deflateTune(ctypes.byref(stream), *tuning)
    out = ctypes.create_string_buffer(2 * len(data) + 1000)
    stream.next_out, stream.avail_out = ctypes.addressof(out), len(out)
    at = 0
    for size, flush in parts:
        stream.next_in, stream.avail_in = data[at:at + size], size
        library.deflate(ctypes.byref(stream), flush)
        at += size
    made = out.raw[:stream.total_out]
    library.deflateEnd(ctypes.byref(stream))
    if zlib.decompress(made, -15) != data:
        sys.exit('a stream is not what it was made of')
    return made


def stream_of(data, way):
    n = len(data)
    if way == 'other':
        return deflate(data, 4, 5, (8, 40, 77, 33), [(n, FINISH)])
    parts = [(n, PARTIAL if n > 1000000 else NONE), (0, SYNC), (0, FINISH)]
    begin, end = data.find(b'<sheetData>'), data.find(b'</sheetData>')
    if way == 'parted' and begin > 0:
        parts = [(begin, SYNC), (0, FULL), (end - begin, SYNC), (0, FULL), (n - end, NONE), (0, SYNC), (0, FINISH)]
    return deflate(data, 1, 7, (4, 4, 258, 16), parts)


def archive(members, way):
    body, directory = b'', b''
    for name, data in members:
        stream = stream_of(data, way)
        head = struct.pack('<HHHHHIIIHH', 20, 6, 8, 0, 33, zlib.crc32(data), len(stream), len(data), len(name), 0)
        directory += (b'PK\1\2' + struct.pack('<H', 45) + head + struct.pack('<HHHII', 0, 0, 0, 0, len(body)) +
                      name.encode())
        body += b'PK\3\4' + head + name.encode() + stream
    end = struct.pack('<HHHHIIH', 0, 0, len(members), len(members), len(directory), len(body), 0)
    return body + directory + b'PK\5\6' + end


def row(number, values):
    cells = ['<c r="A%d" s="1" t="s"><v>%d</v></c>' % (number, values[0])]
    cells += ['<c r="%s%d" s="%d"><v>%s</v></c>' % (column, number, 2 + i % 3, values[i + 1])
              for i, column in enumerate('BCDEFGH')]
    return '<row r="%d" spans="1:8" x14ac:dyDescent="0.25">%s</row>' % (number, ''.join(cells))


def main(directory, way, versions, rows):
    rng = random.Random(7)
    strings = ['name %d of %d' % (rng.randrange(10**6), i) for i in range(2000)]
    table = [[rng.randrange(2000), rng.randrange(100), rng.randrange(10**4), '%.2f' % rng.uniform(0, 1000),
              43831 + rng.randrange(900), n, rng.randrange(10), '%.4f' % rng.random()] for n in range(rows)]
    lines = [row(n + 1, values) for n, values in enumerate(table)]
    for version in range(1, versions + 1):
        n = rng.randrange(rows)
        if version % 3 == 0:  # another string: it joins the shared ones
            table[n][0] = len(strings)
            strings.append('a new name %d' % rng.randrange(10**6))
        else:
            table[n][2] = rng.randrange(10**4)
        lines[n] = row(n + 1, table[n])
        members = [
            ('[Content_Types].xml', b'<Types>' + b'<Override PartName="/xl/sheet.xml"/>' * 9 + b'</Types>'),
            ('xl/worksheets/sheet1.xml', ('<worksheet><dimension ref="A1:H9"/><sheetData>%s</sheetData></worksheet>' % ''.join(lines)).encode()),
            ('xl/sharedStrings.xml', ('<sst>%s</sst>' % ''.join('<si><t>%s</t></si>' % s for s in strings)).encode()),
            ('docProps/core.xml', ('<modified>2026-03-03T14:%02d:20Z</modified>' % version).encode())]
        with open('%s/%d' % (directory, version), 'wb') as out:
            out.write(archive(members, way))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
