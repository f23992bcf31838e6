package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive"
)

func uuid(n int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", n) }

var moment = time.Date(2026, 11, 28, 9, 0, 0, 123456000, time.UTC)

func header() Header { return Header{ID: uuid(1), Taken: moment, Library: uuid(2), Set: uuid(3)} }

func ptr[T any](v T) *T { return &v }

// one of each kind, with every member that there is.
func samples() []Record {
	return []Record{
		&Vault{uuid(10), "film <& \u2028>", moment, 2, 3600, 32, true, 86400 * 365, 12, 2, 86400 * 30, "migrate_now", true},
		&Library{uuid(11), "north", "CAC-V3000", 86400 * 30},
		&Set{uuid(12), uuid(10), uuid(11), "BD-R", 12219392, 12, 2, "sealed", moment, ptr(moment), []Numbered{{uuid(20), 13}, {uuid(21), 14}}},
		&Image{uuid(13), 1, uuid(10), uuid(11), "BD-R", 12219392, 47000, 11000000, ptr(archive.Hash{1, 2}), moment, 2, ptr(moment), uuid(12), ptr(0)},
		&Disc{
			"0001", uuid(11), "BD-R", 12219392, "good", uuid(13), "why", 12000000, ptr(moment), ptr(moment), "2026/7", "VERBAT-IMe", true, "watch", "reason", true,
			ptr(moment), ptr(moment), ptr(moment), "healthy", "wiped", ptr(moment),
		},
		&Archive{uuid(14), uuid(10), "a", "what it is", archive.Hash{3}, 7, 1 << 40, moment, "safe", ptr(moment)},
		&Step{"0001", moment, "repair", 2, "3 sectors"},
		&Reading{
			"0001", uuid(11), 2, "scrub", moment, moment.Add(time.Hour), true, "", 12000000, 12000000, 3599.5, 1, 2, 3, 4, 5, 6, 7, 32, 1.5, 8, "BER", ptr(1e-6),
			[]Region{{3, 600, 200, 2, 1.25, 1, 2, 3, 4, 5, 6, "03/11/05"}},
		},
	}
}

func write(t tester, h Header, limit int64, records []Record) ([]byte, Summary, int) {
	var b bytes.Buffer
	w, err := NewWriter(&b, h, limit)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range records {
		if err := w.Write(r); errors.Is(err, ErrFull) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		n++
	}
	s, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if s.Bytes != int64(b.Len()) || s.SHA256 != sha256.Sum256(b.Bytes()) {
		t.Fatal("the summary is not of what was written")
	}
	return b.Bytes(), s, n
}

type tester interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

func read(b []byte) (records []Record, s Summary, err error) {
	s, err = Read(bytes.NewReader(b), func(r Record) error { records = append(records, r); return nil })
	return records, s, err
}

func TestEveryMemberComesBack(t *testing.T) {
	want := samples()
	if len(want) != len(Kinds) {
		t.Fatal("a kind has no sample")
	}
	for i, r := range want {
		if r.Kind() != Kinds[i] {
			t.Fatalf("%s is out of order", r.Kind())
		}
		v := reflect.ValueOf(r).Elem()
		for n := range v.NumField() {
			if v.Field(n).IsZero() && v.Type().Field(n).Name != "Error" {
				t.Fatalf("the sample has nothing in %s of %s", v.Type().Field(n).Name, r.Kind())
			}
		}
	}
	h := header()
	h.Number, h.Follows = 4, &Link{uuid(9), archive.Hash{9}}
	b, wrote, _ := write(t, h, 0, want)
	got, s, err := read(b)
	if err != nil || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(s, wrote) || !reflect.DeepEqual(s.Header, h) || !s.Complete {
		t.Fatalf("%v\n%+v\n%+v", err, s, wrote)
	}
}

// TestOthersReadIt: zstd and the shell are all that it takes to read a snapshot and to check it.
func TestOthersReadIt(t *testing.T) {
	b, s, _ := write(t, header(), 0, samples())
	name := filepath.Join(t.TempDir(), Name)
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if sum := judge(t, "sha256sum "+name); !strings.HasPrefix(sum, s.SHA256.String()) {
		t.Errorf("sha256sum says %s", sum)
	}
	lines := strings.Split(strings.TrimSpace(judge(t, "zstd -dc "+name)), "\n")
	if len(lines) != len(samples())+2 {
		t.Fatalf("%d lines", len(lines))
	}
	if sum := judge(t, "zstd -dc "+name+" | head -n -1 | sha256sum"); !strings.Contains(lines[len(lines)-1], sum[:64]) {
		t.Errorf("the last line %s doesn't have the hash %s of the others", lines[len(lines)-1], sum)
	}
	if !strings.HasPrefix(lines[1], `{"kind":"vault","id":"`+uuid(10)+`","name":"film <& `) {
		t.Errorf("a person would read %s", lines[1])
	}
	// What another program has compressed is read too.
	other := filepath.Join(t.TempDir(), "other.zst")
	judge(t, "zstd -dc "+name+" | zstd -19 > "+other)
	if b, err := os.ReadFile(other); err != nil {
		t.Fatal(err)
	} else if got, _, err := read(b); err != nil || !reflect.DeepEqual(got, samples()) {
		t.Errorf("%v", err)
	}
}

func judge(t *testing.T, script string) string {
	t.Helper()
	if _, err := exec.LookPath("zstd"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	out, err := exec.Command("sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// TestNeverOver: whatever the room and the records, the file has no byte more; it holds the first records, and says whether those are all.
func TestNeverOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1500, 40000).Draw(t, "limit")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var records []Record
		for i := range rapid.IntRange(0, 300).Draw(t, "records") {
			b := make([]byte, random.IntN(300)) // digits of chance compress to half, and not below
			for j := range b {
				b[j] = byte(random.Uint32())
			}
			records = append(records, &Step{Disc: "d", At: moment.Add(time.Duration(i)), Step: "repair", Detail: fmt.Sprintf("%x", b)})
		}
		b, s, n := write(t, header(), limit, records)
		if int64(len(b)) > limit {
			t.Fatalf("%d bytes of %d", len(b), limit)
		}
		if s.Complete != (n == len(records)) || !s.Complete && int64(len(b)) < limit-2000 {
			t.Fatalf("complete is %v with %d of %d records, %d bytes of %d", s.Complete, n, len(records), len(b), limit)
		}
		got, back, err := read(b)
		if err != nil || len(got) != n || !reflect.DeepEqual(back, s) {
			t.Fatalf("%d of %d came back: %v", len(got), n, err)
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], records[i]) {
				t.Fatalf("record %d is another", i)
			}
		}
	})
	if _, err := NewWriter(io.Discard, header(), 500); !errors.Is(err, ErrFull) {
		t.Errorf("a snapshot without room was begun: %v", err)
	}
}

// TestDamage: no snapshot that was changed or cut off anywhere is taken for a whole one.
func TestDamage(t *testing.T) {
	b, _, _ := write(t, header(), 0, samples())
	for n := range b {
		if _, _, err := read(b[:n]); err == nil {
			t.Fatalf("cut off after %d of %d bytes, it was read", n, len(b))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		c := bytes.Clone(b)
		c[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if got, _, err := read(c); err == nil && !reflect.DeepEqual(got, samples()) {
			t.Fatal("other records were read")
		}
	})
}

// packed compresses text as a snapshot would be; SUM in it becomes the hash of the lines before.
func packed(text string) []byte {
	if at := strings.LastIndex(text, `{"kind":"end"`); at >= 0 {
		text = strings.ReplaceAll(text, "SUM", archive.Hash(sha256.Sum256([]byte(text[:at]))).String())
	}
	return packer.EncodeAll([]byte(text), nil)
}

var packer, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))

var first = `{"format":"odarchive-snapshot","version":1,"id":"` + uuid(1) + `","taken":"2026-11-28T09:00:00Z","library":"` + uuid(2) + `","set":"` + uuid(3) + `","number":0}` + "\n"

const step = `{"kind":"step","disc":"1","at":"2026-11-28T09:00:00Z","step":"repair"}` + "\n"

func last(counts string) string {
	return `{"kind":"end","complete":true,"records":{` + counts + `},"sha256":"SUM"}` + "\n"
}

func TestHostile(t *testing.T) {
	if got, _, err := read(packed(first + step + last(`"step":1`))); err != nil || len(got) != 1 {
		t.Fatalf("what is well is refused: %v", err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "line 1: it is empty"},
		{"other", "{}\n", "line 1: not a snapshot"},
		{"newer", strings.Replace(first, `"version":1`, `"version":2`, 1), "line 1: version 2, only 1 is known"},
		{"id", strings.Replace(first, uuid(1), "../../etc", 1), "line 1: \"../../etc\" is no UUID"},
		{"follows none", strings.Replace(first, `"number":0`, `"number":1`, 1), "line 1: number 1 in its chain"},
		{"no end", first + step, "line 3: it is cut off here"},
		{"half a line", first + step[:20], "line 2: it is cut off here"},
		{"counts", first + step + last(`"step":2`), "line 3: it has the records map[step:1], and says map[step:2]"},
		{"more", first + last("") + step, "line 3: something follows its end"},
		{"no kind", first + "{}\n", `line 2: the kind ""`},
		{"no JSON", first + "<xml>\n", "line 2: invalid"},
		{"type", first + strings.Replace(step, `"1"`, "1", 1), "line 2: step: json"},
		{"text", first + strings.Replace(step, `"1"`, `""`, 1), "line 2: step: disc: a text of 0 bytes"},
		{"year", first + strings.Replace(step, "2026", "1812", 1), "line 2: step: at: the year 1812"},
		{"long", first + strings.Repeat(" ", maxLine+1), "line 2: longer than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := read(packed(c.text))
			if _, typed := errors.AsType[*Error](err); !typed || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
	wrong := strings.Replace(first+step+last(`"step":1`), "SUM", strings.Repeat("0", 64), 1)
	if _, _, err := read(packed(wrong)); err == nil || !strings.Contains(err.Error(), "have the SHA-256") {
		t.Errorf("%v", err)
	}
	// Kinds and members of later programs are passed over within the version.
	later := first + `{"kind":"drive","a":1}` + "\n" + strings.Replace(step, "}", `,"new":[1]}`, 1) + last(`"drive":1,"step":1`)
	if got, s, err := read(packed(later)); err != nil || len(got) != 1 || s.Records["drive"] != 1 {
		t.Errorf("%v %v %v", got, s, err)
	}
	// A window that would take half a gigabyte of memory is refused: RFC 8878 §3.1.1.1.2, exponent 19; one raw block.
	frame := append([]byte{0x28, 0xB5, 0x2F, 0xFD, 0, 19 << 3}, byte(len(first)<<3|1), byte(len(first)>>5), 0)
	if _, _, err := read(append(frame, first...)); err == nil || !strings.Contains(err.Error(), "window") {
		t.Errorf("a window of 512 MiB: %v", err)
	}
	frame[5] = 13 << 3
	if _, _, err := read(append(frame, first...)); err == nil || strings.Contains(err.Error(), "window") {
		t.Errorf("a window of 8 MiB: %v", err)
	}
}

func TestRefusesToWrite(t *testing.T) {
	w, err := NewWriter(io.Discard, header(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Record{
		&Vault{ID: "x", Name: "v", Copies: 1, Created: moment},
		&Image{ID: uuid(1), Vault: uuid(1), Library: uuid(1), Medium: "BD-R", Sectors: 1, Copies: 1, Created: moment, Set: uuid(2)},
		&Disc{Label: "1", Library: uuid(1), Medium: "BD-R", Capacity: 1, State: "Good!"},
		&Reading{Disc: "1", Library: uuid(1), What: "scrub", Begun: moment, Finished: moment, Metric: "C1"},
		&Set{ID: uuid(1), Vault: uuid(1), Library: uuid(1), Medium: "BD-R", Capacity: 1, Data: 200, Parity: 56, State: "open", Created: moment},
	} {
		if err := w.Write(r); err == nil {
			t.Errorf("%+v was written", r)
		}
	}
	s, err := w.Close()
	if err != nil || len(s.Records) != 0 {
		t.Errorf("%v %v", s, err)
	}
}

// same fails when what was read, written again, says anything else.
func same(t *testing.T, records []Record) {
	t.Helper()
	for _, r := range records {
		var b bytes.Buffer
		back := record(r.Kind())
		if err := errors.Join(encode(&b, r), json.Unmarshal(b.Bytes(), back), back.validate()); err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("%v\n%+v\n%+v", err, r, back)
		}
	}
}

func FuzzRead(f *testing.F) {
	b, _, _ := write(f, header(), 0, samples())
	f.Add(b)
	f.Add(packed(first + step + last(`"step":1`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if records, _, err := read(b); err == nil {
			same(t, records)
		}
	})
}

// FuzzLines is FuzzRead without the compression, which hides the lines from a fuzzer.
func FuzzLines(f *testing.F) {
	b, _, _ := write(f, header(), 0, samples())
	z, _ := zstd.NewReader(nil)
	text, err := z.DecodeAll(b, nil)
	if err != nil {
		f.Fatal(err)
	}
	body := bytes.SplitAfterN(text, []byte("\n"), 2)[1]
	f.Add(string(body[:bytes.LastIndex(body, []byte(`{"kind":"end"`))]))
	f.Fuzz(func(t *testing.T, lines string) {
		s, err := NewReader(bytes.NewReader(packed(first + lines)))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var records []Record
		for r, err := range s.Records() {
			if err != nil {
				break
			}
			records = append(records, r)
		}
		same(t, records)
	})
}
