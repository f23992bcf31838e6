package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive"
)

// large tells of a library of 10,000 discs of which each was read ten times, one in twenty with trouble, and of 100,000 archives.
func large(yield func(Record) error) error {
	random := rand.New(rand.NewPCG(1, 1))
	id := func() string {
		var b [16]byte
		binary.LittleEndian.PutUint64(b[:], random.Uint64())
		binary.LittleEndian.PutUint64(b[8:], random.Uint64())
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	}
	at := moment
	tick := func() time.Time {
		at = at.Add(time.Duration(random.Int64N(int64(time.Hour))))
		return at
	}
	var all error
	put := func(r Record) {
		if all == nil {
			all = yield(r)
		}
	}
	set := id()
	for n := range 10000 {
		if n%14 == 0 {
			set = id()
			put(&Set{ID: set, Vault: uuid(1), Library: uuid(2), Medium: "BD-R", Capacity: 12219392, Data: 12, Parity: 2, State: "sealed", Created: tick(), Parities: []Numbered{{id(), 1}, {id(), 2}}})
		}
		index, safe, image := n%14, tick(), id()
		sum := archive.Hash(sha256.Sum256([]byte(image)))
		put(&Image{
			ID: image, Number: int64(n), Vault: uuid(1), Library: uuid(2), Medium: "BD-R", Sectors: 12219392, Layer: 47919, Data: 11000000 + random.Int64N(100000), SHA256: &sum,
			Created: tick(), Copies: 1, Safe: &safe, Set: set, Index: &index,
		})
		burned, verified, due := tick(), tick(), tick()
		put(&Disc{
			Label: fmt.Sprintf("%04d", n), Library: uuid(2), Medium: "BD-R", Capacity: 12219392, State: "good", Image: image, Recorded: 12219392, Burned: &burned, Verified: &verified,
			Lot: fmt.Sprint("lot ", n/50), MediaID: "VERBAT-IMe", Grade: "healthy", Graded: &verified, ScrubDue: &due,
		})
		for range 10 {
			r := &Reading{
				Disc: fmt.Sprintf("%04d", n), Library: uuid(2), Drive: 1 + random.IntN(4), What: "scrub", Begun: tick(), Finished: tick(), Good: true, Sectors: 12219392, Done: 12219392,
				Seconds: 3000 * (1 + random.Float64()), Roots: 32, Slowest: 1 + random.Float64(),
			}
			if random.IntN(20) == 0 {
				r.Retries, r.Repaired, r.WorstRow = random.Int64N(100), random.Int64N(10), random.IntN(4)
				for g := range 3 {
					r.Regions = append(r.Regions, Region{Number: g * 20, First: int64(g) * 3818560, Sectors: 190928, Drive: 2, Seconds: 50 * random.Float64(), Retries: random.Int64N(30), Sense: "03/11/05"})
				}
			}
			put(r)
		}
	}
	for n := range 100000 {
		root := archive.Hash(sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(n))))
		put(&Archive{ID: id(), Vault: uuid(1), Name: fmt.Sprintf("camera %d/2026-%02d", n%40, n%12), RootHash: root, Entries: random.Int64N(2000), Bytes: random.Int64N(1 << 34), Sealed: tick(), State: "safe", Safe: &at})
	}
	return all
}

// BenchmarkSnapshot writes and reads the snapshot of a library of 10,000 discs.
func BenchmarkSnapshot(b *testing.B) {
	var file bytes.Buffer
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			file.Reset()
			w, err := NewWriter(&file, header(), 0)
			if err == nil {
				err = large(w.Write)
			}
			if err == nil {
				_, err = w.Close()
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(file.Len()), "file-bytes")
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			n = 0
			if _, err := Read(io.Reader(bytes.NewReader(file.Bytes())), func(Record) error { n++; return nil }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n), "records")
	})
}
