package stack

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"

	"golang.org/x/sys/unix"
)

// The log is made of records that begin at multiples of logSector, which a disk writes whole or not at all:
//
//	4 bytes   CRC-32C of all that follows
//	4 bytes   length of the order in bytes
//	8 bytes   generation: that of the file which the record comes after
//	8 bytes   number, from 1, without a gap
//	          the order in JSON
//
// Numbers are little endian. A record that is not whole is the last one, and nobody has acted on it.
const (
	logSize   = 512 << 10
	logSector = 512
	logHeader = 24
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// orderLog is an open log.
type orderLog struct {
	file       *os.File
	generation uint64
	number     uint64     // of the last record
	end        int        // where the next one begins
	failed     error      // what is on the disk is not known any more
	syncing    chan error // of the sync that runs; nil when none does
}

// makeLog makes a log without records. Its blocks are written, not only reserved: a first write to a reserved block changes the
// file system's own records too, and costs as much as all else together.
func makeLog(root *os.Root) error { return replace(root, LogName, make([]byte, logSize)) }

// openLog reads the records of a generation, and returns the last one; nil when there is none.
func openLog(root *os.Root, generation uint64) (l *orderLog, last []byte, err error) {
	b, err := root.ReadFile(LogName)
	if err != nil {
		return nil, nil, err
	}
	if len(b) != logSize {
		return nil, nil, fmt.Errorf("%s has %d bytes, want %d", LogName, len(b), logSize)
	}
	l = &orderLog{generation: generation}
	for {
		order, number, size := parseRecord(b[l.end:], generation)
		if size == 0 || number != l.number+1 {
			break
		}
		last, l.number, l.end = order, number, l.end+size
		if l.end >= logSize {
			break
		}
	}
	// A record behind one that can't be read has been acted on: what it was is not to be guessed.
	for at := l.end; at < logSize; at += logSector {
		if _, number, size := parseRecord(b[at:], generation); size > 0 {
			return nil, nil, fmt.Errorf("%s is damaged: record %d is at byte %d, and the one before it can't be read", LogName, number, at)
		}
	}
	l.file, err = root.OpenFile(LogName, os.O_RDWR, 0)
	return l, last, err
}

// parseRecord reads the record of a generation at the beginning of b. Size is what it takes up; 0 when there is none.
func parseRecord(b []byte, generation uint64) (order []byte, number uint64, size int) {
	if len(b) < logHeader {
		return nil, 0, 0
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if n == 0 || int64(n) > int64(len(b)-logHeader) || binary.LittleEndian.Uint64(b[8:]) != generation {
		return nil, 0, 0
	}
	whole := b[:logHeader+int(n)]
	if crc32.Checksum(whole[4:], castagnoli) != binary.LittleEndian.Uint32(b) {
		return nil, 0, 0
	}
	return whole[logHeader:], binary.LittleEndian.Uint64(b[16:]), recordSize(int(n))
}

// recordSize is what a record of n bytes of JSON takes up.
func recordSize(n int) int { return (logHeader + n + logSector - 1) / logSector * logSector }

func (l *orderLog) fits(order []byte) bool { return l.end+recordSize(len(order)) <= logSize }

// wait waits for the sync that runs. A failed one may have dropped what it should have written, and says so once.
func (l *orderLog) wait() error {
	if l.syncing != nil {
		if err := <-l.syncing; err != nil {
			l.failed = fmt.Errorf("a record did not get to the disk: %w", err)
		}
		l.syncing = nil
	}
	return l.failed
}

// append writes a record and has it brought to the disk; now waits for that.
func (l *orderLog) append(order []byte, now bool) error {
	if err := l.wait(); err != nil {
		return err
	}
	b := make([]byte, recordSize(len(order)))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(order)))
	binary.LittleEndian.PutUint64(b[8:], l.generation)
	binary.LittleEndian.PutUint64(b[16:], l.number+1)
	copy(b[logHeader:], order)
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:logHeader+len(order)], castagnoli))
	if _, err := l.file.WriteAt(b, int64(l.end)); err != nil {
		l.failed = err
		return err
	}
	l.end, l.number = l.end+len(b), l.number+1
	syncing := make(chan error, 1)
	l.syncing = syncing
	go func() { syncing <- datasync(l.file) }() // wait, or Close, ends it
	if now {
		return l.wait()
	}
	return nil
}

// datasync has the data of a file on the disk, and of its size and times only what is needed to read it.
func datasync(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) {
		for {
			if failed = unix.Fdatasync(int(fd)); failed != unix.EINTR {
				return
			}
		}
	}); err != nil {
		return err
	}
	return failed
}
