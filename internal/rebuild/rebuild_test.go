package rebuild_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/survey"
	"github.com/odarchive/odarchive/internal/pgserver/pgtest"
	"github.com/odarchive/odarchive/internal/rebuild"
	"github.com/odarchive/odarchive/internal/rebuild/database"
	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/postgres"
)

const childVariable = "REBUILD_TEST_DSN"

// TestMain is also the process that is killed.
func TestMain(m *testing.M) {
	if dsn := os.Getenv(childVariable); dsn != "" {
		if _, err := run(context.Background(), dsn, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if config := os.Getenv(surveyVariable); config != "" {
		if err := surveyKilled(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	pgtest.Main(m)
}

func run(ctx context.Context, dsn string, places []string) (*rebuild.Result, error) {
	c, closer, err := database.Open(ctx, dsn, "", false)
	if err != nil {
		return nil, err
	}
	r := rebuild.Rebuild{Catalogue: c}
	result, err := r.Run(ctx, places)
	return result, errors.Join(err, closer.Close())
}

func empty(t testing.TB) string {
	return pgtest.New(t, "rebuilt", func(ctx context.Context, dsn string) error {
		s, err := postgres.Open(ctx, dsn)
		if err == nil {
			s.Close()
		}
		return err
	})
}

// verdicts are what the catalogue says of the archives, with the files that are not whole.
func verdicts(t testing.TB, dsn string) (all []survey.Verdict, lacks []survey.Lack) {
	t.Helper()
	c, closer, err := database.Open(t.Context(), dsn, "", false)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	if err := c.Report(t.Context(), func(v survey.Verdict, files iter.Seq2[survey.Lack, error]) error {
		all = append(all, v)
		for x, err := range files {
			if err != nil {
				return err
			}
			lacks = append(lacks, x)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all, lacks
}

// content is all that a catalogue says, without what numbers its rows and when they were made.
func content(t testing.TB, dsn string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var b strings.Builder
	for _, query := range []string{
		`select name, id, copies, roots, set_data, set_parity, created from vault order by 1`,
		`select name, id from library order by 1`,
		`select id, vault_id, name, description, root_hash, manifest_size, entries, bytes, planned, sealed, safe is not null from archive order by 1`,
		`select a.id, e.path, e.kind, e.mode, e.mtime_seconds, c.hash, c.size from archive a join entry e on e.archive_id = a.id left join content c on c.id = e.content_id order by 1, 2`,
		`select hash, size, sealed, planned, staged from content order by 1`,
		`select id, number, vault_id, library_id, medium, sectors, layer_sectors, data_sectors, copies, set_id, set_index, sha256, capacity, gathered is not null from image order by 1`,
		`select x.image_id, c.hash, x.content_offset, x.length, x.sector, x.part, x.parts from extent x join content c on c.id = x.content_id order by 1, 2, 3`,
		`select image_id, archive_id, directory from image_archive order by 1, 2`,
		`select image_id, archive_id, bytes from placement order by 1, 2`,
		`select id, vault_id, library_id, medium, capacity, data, parity, state, description is not null from disc_set order by 1`,
		`select image_id, label, state, capacity, recorded from disc order by 1, 2`,
		`select archive_id, state from job order by 1`,
		`select d.label, c.hash from read_failure f join disc d on d.id = f.disc_id join content c on c.id = f.content_id order by 1, 2`,
	} {
		rows, err := conn.Query(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, query)
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&b, values...)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// differs returns the lines that only one of two contents has.
func differs(got, want string) string {
	var b strings.Builder
	a, z := strings.Split(got, "\n"), strings.Split(want, "\n")
	for _, line := range a {
		if !slices.Contains(z, line) {
			fmt.Fprintln(&b, "has", line)
		}
	}
	for _, line := range z {
		if !slices.Contains(a, line) {
			fmt.Fprintln(&b, "lacks", line)
		}
	}
	return b.String()
}

// small is a library of three archives on some discs; the second has a file that is split.
func small(t testing.TB, roots int, set discset.Geometry) *forge {
	f := &forge{TB: t, dir: t.TempDir(), capacity: 1400, roots: roots, set: set}
	if roots > 0 {
		f.capacity = 2000
	}
	f.archive(150, func(i int) int64 { return int64(i * 37 % 9000) })
	f.archive(3, func(i int) int64 { return []int64{3_000_000, 0, 5}[i] })
	f.archive(40, func(i int) int64 { return 60_000 })
	f.burn()
	if len(f.images) < 3 {
		t.Fatalf("%d images, want some more", len(f.images))
	}
	return f
}

// TestWhole: all discs give everything, in any order and twice, and what was read already changes nothing.
func TestWhole(t *testing.T) {
	for _, roots := range []int{0, 32} {
		f := small(t, roots, discset.Geometry{})
		dsn := empty(t)
		backwards := slices.Clone(f.images)
		slices.Reverse(backwards)
		result, err := run(t.Context(), dsn, append(backwards, f.images...))
		if err != nil {
			t.Fatal(err)
		}
		if _, known := result.Lost(); len(result.Doubts) > 0 || len(result.Missing) > 0 || len(result.Discs) != 2*len(f.images) || known != len(f.images) {
			t.Errorf("%d discs of %d, %d read before, doubts %v", len(result.Discs), len(f.images), known, result.Doubts)
		}
		all, _ := verdicts(t, dsn)
		if len(all) != len(f.archives) {
			t.Fatalf("%d archives, want %d", len(all), len(f.archives))
		}
		for i, v := range all {
			if a := f.archives[i]; !v.Whole() || v.ID != a.ID || v.Name != a.Name || v.Description != a.Description || v.RootHash != a.RootHash ||
				v.ManifestSize != a.ManifestSize || !v.Sealed.Equal(a.Sealed) || v.Entries != int64(len(f.entries[a.ID])) {
				t.Errorf("%+v, want %+v", v, a.Archive)
			}
		}
		// Where every content lies is what made the images.
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		for i, img := range f.planned {
			c, err := img.Compose()
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for r, sector := range c.Runs {
				n++
				var at, length int64
				if err := conn.QueryRow(t.Context(), `
select x.sector, x.length from extent x join content c on c.id = x.content_id where x.image_id = $1 and c.hash = $2 and x.content_offset = $3`,
					img.Disc.ImageID, r.Hash[:], r.Offset).Scan(&at, &length); err != nil || at != sector || length != r.Length {
					t.Fatalf("image %d: run %v lies at %d and has %d bytes, want %d (%v)", i, r, at, length, sector, err)
				}
			}
			var extents int
			var sectors int64
			if err := conn.QueryRow(t.Context(), `select sectors, (select count(*) from extent where image_id = id) from image where id = $1`, img.Disc.ImageID).
				Scan(&sectors, &extents); err != nil || extents != n {
				t.Errorf("image %d has %d extents, want %d (%v)", i, extents, n, err)
			}
			if info, err := os.Stat(f.images[i]); err != nil || info.Size() != sectors*2048 {
				t.Errorf("image %d has %d sectors, and %v (%v)", i, sectors, info, err)
			}
		}
		want := content(t, dsn)
		if _, err := run(t.Context(), dsn, f.images); err != nil {
			t.Fatal(err)
		}
		if got := content(t, dsn); got != want {
			t.Error("reading the discs once more has changed something")
		}
	}
}

// TestSubsets: without some discs exactly their bytes are absent; when the rest is read too, nothing tells that it came later.
func TestSubsets(t *testing.T) {
	f := small(t, 0, discset.Geometry{})
	whole := empty(t)
	if _, err := run(t.Context(), whole, f.images); err != nil {
		t.Fatal(err)
	}
	want := content(t, whole)
	for without := range f.images {
		dsn := empty(t)
		here := slices.Delete(slices.Clone(f.images), without, without+1)
		if _, err := run(t.Context(), dsn, here); err != nil {
			t.Fatal(err)
		}
		all, lacks := verdicts(t, dsn)
		var said, listed int64
		for _, v := range all {
			said += v.AbsentBytes
		}
		for _, x := range lacks {
			for _, g := range x.Absent {
				listed += g.Length
			}
		}
		missing := f.missing(here)
		for _, a := range f.archives { // of what was on that disc alone nothing is known
			if !slices.ContainsFunc(all, func(v survey.Verdict) bool { return v.ID == a.ID }) {
				for _, e := range f.entries[a.ID] {
					missing -= e.Content.Size
				}
			}
		}
		if said != missing || listed != missing {
			t.Errorf("without disc %d: %d bytes are absent, the report says %d and lists %d", without, missing, said, listed)
		}
		if _, err := run(t.Context(), dsn, f.images[without:without+1]); err != nil {
			t.Fatal(err)
		}
		if got := content(t, dsn); got != want {
			t.Errorf("disc %d was read later, and it shows:\n%s", without, differs(got, want))
		}
	}
}

// TestSets: what a lost disc held is known from the others of its set; without enough of them it is absent.
func TestSets(t *testing.T) {
	f := small(t, 16, discset.Geometry{Data: 3, Parity: 1})
	all := append(slices.Clone(f.images), f.parity...)
	dsn := empty(t)
	if result, err := run(t.Context(), dsn, all); err != nil || len(result.Doubts)+len(result.Missing) > 0 {
		t.Fatalf("%+v %v", result, err)
	}
	want := content(t, dsn)
	for without := range f.images {
		dsn := empty(t)
		result, err := run(t.Context(), dsn, slices.Concat(f.parity, f.images[:without], f.images[without+1:]))
		if err != nil {
			t.Fatal(err)
		}
		if lost, _ := result.Lost(); lost != 1 || len(result.Doubts)+len(result.Missing) > 0 {
			t.Errorf("without disc %d: %d are known from sets, doubts %v, missing %v", without, lost, result.Doubts, result.Missing)
		}
		verdicts, lacks := verdicts(t, dsn)
		var given, listed int64
		for _, v := range verdicts {
			given += v.FromSetsBytes
			if !v.Recoverable() {
				t.Errorf("without disc %d: %+v", without, v)
			}
		}
		for _, x := range lacks {
			for _, g := range x.FromSets {
				listed += g.Length
			}
		}
		if m := f.missing(slices.Delete(slices.Clone(f.images), without, without+1)); given != m || listed != m {
			t.Errorf("without disc %d sets give %d bytes and list %d, want %d", without, given, listed, m)
		}
		if _, err := run(t.Context(), dsn, f.images[without:without+1]); err != nil {
			t.Fatal(err)
		}
		if got := content(t, dsn); got != want {
			t.Errorf("disc %d was found later, and it shows:\n%s", without, differs(got, want))
		}
	}
	// Two discs of one set are beyond one parity disc.
	dsn = empty(t)
	result, err := run(t.Context(), dsn, append(slices.Clone(f.images[2:]), f.parity...))
	if err != nil || len(result.Missing) != 2 {
		t.Fatalf("%+v %v", result, err)
	}
	var absent int64
	verdicts, _ := verdicts(t, dsn)
	for _, v := range verdicts {
		absent += v.AbsentBytes
	}
	if absent == 0 {
		t.Errorf("two discs of a set of 3+1 are lost, and no byte is absent: %+v", verdicts)
	}
}

// TestKilled: a rebuild is killed again and again, and the same command finishes it as if it never had been.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	f := small(t, 0, discset.Geometry{Data: 2, Parity: 1})
	all := append(slices.Clone(f.images), f.parity...)
	dsn := empty(t)
	if _, err := run(t.Context(), dsn, all); err != nil {
		t.Fatal(err)
	}
	want := content(t, dsn)
	dsn = empty(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for patience := 20 * time.Millisecond; ; patience = patience * 5 / 4 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		child := exec.CommandContext(ctx, program, all...) // which kills with SIGKILL
		child.Env = append(os.Environ(), childVariable+"="+dsn)
		out, err := child.CombinedOutput()
		cancel()
		if err == nil {
			break
		}
		if ctx.Err() == nil {
			t.Fatalf("%v: %s", err, out)
		}
		killed++
	}
	if killed < 3 {
		t.Errorf("it was killed %d times only", killed)
	}
	if got := content(t, dsn); got != want {
		t.Errorf("after %d kills the catalogue is another one:\n%s", killed, differs(got, want))
	}
}

// TestRefused: a database that holds anything else is left alone, and so is one of another library.
func TestRefused(t *testing.T) {
	f := small(t, 0, discset.Geometry{})
	dsn := empty(t)
	s, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateVault(t.Context(), postgres.Vault{Name: "v", Copies: 1}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := run(t.Context(), dsn, f.images); library.FaultOf(err) != library.Precondition {
		t.Errorf("a database with a vault: %v", err)
	}
	dsn = empty(t)
	if _, err := run(t.Context(), dsn, f.images[:1]); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, other := range []string{
		`alter table image disable trigger all; alter table disc disable trigger all; update library set id = gen_random_uuid(), name = 'other'`,
		`alter table rebuild_claim disable trigger all; alter table archive disable trigger all; update vault set id = gen_random_uuid(), name = 'other'`,
	} {
		if _, err := conn.Exec(t.Context(), `set session_replication_role = replica; `+other, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := run(t.Context(), dsn, f.images[1:]); err == nil {
		t.Error("the discs of one library were added to another one's catalogue")
	} else if _, ok := errors.AsType[*postgres.OtherLibraryError](err); !ok {
		t.Error(err)
	}
}

// TestDamage: what is damaged on a disc is doubted, the rest is taken; a manifest that another disc has whole makes up for it.
func TestDamage(t *testing.T) {
	f := small(t, 0, discset.Geometry{})
	whole, err := os.ReadFile(f.images[0])
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(whole), `"sha256":"`) // of a manifest
	broken := slices.Clone(whole)
	broken[at+12] ^= 1
	if err := os.WriteFile(f.images[0], broken, 0o600); err != nil {
		t.Fatal(err)
	}
	junk := filepath.Join(f.dir, "junk.iso")
	if err := os.WriteFile(junk, whole[:400*2048], 0o600); err != nil {
		t.Fatal(err)
	}
	dsn := empty(t)
	result, err := run(t.Context(), dsn, append([]string{junk}, f.images...))
	if err != nil || len(result.Doubts) < 2 || len(result.Discs) != len(f.images) {
		t.Fatalf("%+v %v", result, err)
	}
	all, _ := verdicts(t, dsn)
	for _, v := range all[1:] {
		if !v.Whole() {
			t.Errorf("%+v", v)
		}
	}
	if all[0].Listed && !all[0].Whole() {
		t.Errorf("%+v", all[0])
	}
}
