package rebuild_test

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/internal/rebuild"
	"github.com/odarchive/odarchive/internal/rebuild/database"
	"github.com/odarchive/odarchive/library"
)

// practise is a drill beside the catalogue at dsn.
func practise(t *testing.T, dsn string, places []string) (all []library.Difference) {
	t.Helper()
	c, closer, err := database.Open(t.Context(), dsn, "", true)
	if err != nil {
		t.Fatal(err)
	}
	r := rebuild.Rebuild{Catalogue: c}
	if _, err := r.Run(t.Context(), places); err != nil {
		t.Fatal(err)
	}
	if err := c.(rebuild.Drill).Compare(t.Context(), func(d library.Difference) error {
		all = append(all, d)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := closer.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDrill: a drill finds nothing when database and discs agree, and whatever doesn't; it changes nothing and leaves nothing.
func TestDrill(t *testing.T) {
	f := small(t, 0, discset.Geometry{Data: 2, Parity: 1})
	all := slices.Concat(f.images, f.parity)
	dsn := empty(t)
	if _, err := run(t.Context(), dsn, all); err != nil {
		t.Fatal(err)
	}
	before := content(t, dsn)
	if d := practise(t, dsn, all); len(d) > 0 {
		t.Errorf("a database that was made of the discs differs from them: %+v", d)
	}
	if after := content(t, dsn); after != before {
		t.Errorf("a drill has changed the database:\n%s", differs(after, before))
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var left int
	if err := conn.QueryRow(t.Context(), `select count(*) from pg_database where datname like 'odarchive_drill_%'`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d databases of drills are left (%v)", left, err)
	}
	if _, err := conn.Exec(t.Context(), `
update archive set name = 'another' where id = $1`, f.archives[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `
update extent set sector = sector + 1 where ctid = (select ctid from extent where image_id = $1 and length > 0 order by sector desc limit 1)`, f.planned[1].Disc.ImageID); err != nil {
		t.Fatal(err)
	}
	found := map[string]library.DifferenceKind{}
	for _, d := range practise(t, dsn, all) {
		found[d.Noun+" "+d.ID] = d.Kind
	}
	if len(found) != 2 || found["archive "+f.archives[0].ID] != library.Differs || found["image "+f.planned[1].Disc.ImageID] != library.Differs {
		t.Errorf("found %v", found)
	}
	found = map[string]library.DifferenceKind{}
	for _, d := range practise(t, dsn, f.images[:len(f.images)-1]) {
		found[d.Noun+" "+d.ID] = d.Kind
	}
	if found["image "+f.planned[len(f.images)-1].Disc.ImageID] != library.OnlyInDatabase {
		t.Errorf("without the last disc: %v", found)
	}
}
