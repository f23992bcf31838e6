package audit

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/snapshot"
)

// carrying makes a parity disc that says what it is and carries a snapshot, both of which are changed before.
func carrying(t *testing.T, change func(d *catalogue.Disc, h *snapshot.Header, b *[]byte)) *laid {
	t.Helper()
	const set = "00000000-0000-0000-0000-0000000000c0"
	d := catalogue.NewDisc("00000000-0000-0000-0002-000000000001", 5, "v", set, "lib", "BD-R", made)
	d.Label = "P1"
	d.Parity = &catalogue.Parity{Set: set, Index: 4, Data: 3, Images: 2}
	h := snapshot.Header{ID: "00000000-0000-0000-0003-000000000001", Taken: made, Library: set, Set: set}
	var none []byte
	change(&d, &h, &none)
	info, err := catalogue.Info(&d)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := snapshot.NewWriter(&b, h, 0)
	if err == nil {
		_, err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	text := b.Bytes()
	change(&d, &h, &text)
	return parityDiscWith(t, discset.Extras{Info: info, Snapshot: discset.Blob{Size: int64(len(text)), SHA256: sha256.Sum256(text)}}, text)
}

// TestCarried: what a parity disc says of itself is held against its set, and the snapshot against its own rules.
func TestCarried(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(d *catalogue.Disc, h *snapshot.Header, b *[]byte)
		in     string // a finding; empty for none
	}{
		{"good", func(*catalogue.Disc, *snapshot.Header, *[]byte) {}, ""},
		{"another place", func(d *catalogue.Disc, _ *snapshot.Header, _ *[]byte) { d.Parity.Index = 3 }, "into another place"},
		{"another disc", func(d *catalogue.Disc, _ *snapshot.Header, _ *[]byte) { d.Label = "P0" }, "calls the disc"},
		{"archives", func(d *catalogue.Disc, _ *snapshot.Header, _ *[]byte) {
			d.Archives = []catalogue.Archive{{ID: "00000000-0000-0000-0002-000000000009", Name: "a", Directory: "a", Sealed: made}}
		}, "names archives"},
		{"another set's snapshot", func(_ *catalogue.Disc, h *snapshot.Header, _ *[]byte) { h.Set = h.ID }, "it is of set"},
		{"a snapshot cut off", func(_ *catalogue.Disc, _ *snapshot.Header, b *[]byte) {
			if *b != nil {
				*b = (*b)[:len(*b)-9]
			}
		}, "snapshot, line"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := audited(t, carrying(t, c.change).image(t), Options{Contents: true})
			if c.in == "" && (len(r.Findings) > 0 || r.Kind != Parity || r.Names != 8) {
				t.Errorf("%+v", r)
			}
			if c.in != "" && !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.Contains(f.String(), c.in) }) {
				t.Errorf("nothing about %q in %v", c.in, r.Findings)
			}
		})
	}
}
