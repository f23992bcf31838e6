package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive/snapshot"
)

// sealedSet makes a sealed set without images in a's library.
func (a *agent) sealedSet(t testing.TB) string {
	t.Helper()
	id := uuid.NewString()
	if _, err := a.s.pool.Exec(context.Background(), `
insert into disc_set (id, vault_id, library_id, medium, capacity, data, parity, state, closed, parity_ids, parity_numbers, description)
select $1, id, $2, 'BD-R', 1000, 12, 2, 'sealed', now(), '{}', '{}', 'x' from vault where name = 'v'`, id, a.lib); err != nil {
		t.Fatal(err)
	}
	return id
}

// carried reads what a snapshot says, by kind and key.
func carried(t testing.TB, s *Store, taken *Snapshot) (map[string]string, snapshot.Summary) {
	t.Helper()
	r := s.OpenSnapshot(context.Background(), taken.ID)
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(b); int64(len(b)) != taken.Bytes || !bytes.Equal(sum[:], taken.SHA256) {
		t.Fatal("the bytes that were kept are others")
	}
	said := map[string]string{}
	sum, err := snapshot.Read(bytes.NewReader(b), func(r snapshot.Record) error {
		text, err := json.Marshal(r)
		said[r.Kind()+" "+r.Key()] = string(text)
		return err
	})
	if err != nil || sum.Complete != taken.Complete || sum.Number != taken.Place {
		t.Fatalf("%+v %+v %v", sum, taken, err)
	}
	return said, sum
}

func (a *agent) take(t testing.TB, room int64) (*Snapshot, string) {
	t.Helper()
	set := a.sealedSet(t)
	taken, err := a.s.TakeSnapshot(context.Background(), set, room)
	if err != nil || taken == nil {
		t.Fatalf("%v %v", taken, err)
	}
	return taken, set
}

const ample = 1 << 30

// However the catalogue changes, whoever reads a chain knows what the newest full snapshot would say.
func TestChainSaysAll(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "north", 40)
	random := rand.New(rand.NewPCG(1, 2))
	known, fulls := map[string]string{}, 0
	for round := range 16 {
		for range random.IntN(6) {
			disc := fmt.Sprint("north-", 1+random.IntN(40))
			for _, sql := range [][]string{
				{`update disc set reason = reason || 'x', lot = 'L' where label = $1`},
				{`insert into disc_step (disc_id, step, detail) select id, 'retry', 'once' from disc where label = $1`},
				{`insert into reading (disc_id, library_id, drive, kind, finished, good, sectors, done) select id, library_id, 1, 'scrub', clock_timestamp(), true, 1000, 1000 from disc where label = $1`},
				{`update image set copies = 2 where id = (select image_id from disc where label = $1)`},
				{`update vault set scrub_interval = scrub_interval + '1 day' where name = 'v' and $1 <> ''`},
			}[random.IntN(5)] {
				if _, err := s.pool.Exec(t.Context(), sql, disc); err != nil {
					t.Fatal(err)
				}
			}
		}
		taken, set := a.take(t, ample)
		said, sum := carried(t, s, taken)
		if sum.Full() {
			known, fulls = map[string]string{}, fulls+1
		}
		for k, v := range said {
			known[k] = v
		}
		if same, err := s.TakeSnapshot(t.Context(), set, ample); err != nil || same.ID != taken.ID {
			t.Fatalf("a set has two snapshots: %v %v", same, err)
		}
		if round%8 != 7 {
			continue
		}
		var b bytes.Buffer
		w, err := snapshot.NewWriter(&b, sum.Header, 0)
		if err == nil {
			err = pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error { return export(t.Context(), tx, w, nil, 1<<40) })
		}
		if err == nil {
			_, err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		all := 0
		if _, err := snapshot.Read(&b, func(r snapshot.Record) error {
			text, err := json.Marshal(r)
			if k := r.Kind() + " " + r.Key(); known[k] != string(text) {
				t.Errorf("round %d: by the chain, %s is\n%s, it is\n%s", round, k, known[k], text)
			}
			all++
			return err
		}); err != nil || all != len(known) {
			t.Fatalf("the chain tells of %d, there are %d: %v", len(known), all, err)
		}
	}
	if fulls < 2 || fulls > 8 {
		t.Errorf("%d of 16 were full", fulls)
	}
}

// What a transaction does that is not over when a snapshot is taken is in the next one, be it in a savepoint.
func TestSnapshotMissesNothing(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "north", 20)
	a.take(t, ample)
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	if _, err := tx.Exec(t.Context(), `update disc set reason = 'above' where label = 'north-1'; savepoint deep; update disc set reason = 'below' where label = 'north-2'; release deep`,
		pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	between, _ := a.take(t, ample)
	if said, sum := carried(t, s, between); sum.Full() || said["disc north-1"] != "" {
		t.Fatalf("%v %v", sum, said)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	last, _ := a.take(t, ample)
	said, sum := carried(t, s, last)
	for label, reason := range map[string]string{"north-1": "above", "north-2": "below"} {
		var d snapshot.Disc
		if err := json.Unmarshal([]byte(said["disc "+label]), &d); err != nil || d.Reason != reason {
			t.Errorf("disc %s is %+v, %v", label, d, err)
		}
	}
	if sum.Follows == nil || sum.Follows.ID != between.ID || sum.Number != 2 || said["disc north-3"] != "" {
		t.Errorf("%+v", sum)
	}
}

// A chain begins again behind what was cut, what no disc carries any more, and what another database said.
func TestChainBeginsAgain(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "north", 500)
	ctx := t.Context()
	if taken, err := s.TakeSnapshot(ctx, a.sealedSet(t), 100); taken != nil || err != nil {
		t.Fatalf("%v %v where there is no room", taken, err)
	}
	cut, _ := a.take(t, 3000)
	if said, sum := carried(t, s, cut); cut.Complete || cut.Bytes > 3000 || len(said) == 0 || sum.Records["vault"] != 1 {
		t.Fatalf("%+v %v", sum, said)
	}
	place := func(want int) (*Snapshot, string) {
		t.Helper()
		taken, set := a.take(t, ample)
		if taken.Place != want {
			t.Fatalf("it has the place %d in its chain, want %d", taken.Place, want)
		}
		return taken, set
	}
	place(0)
	place(1)
	_, set := place(2)
	// Its parity image is to be built; then it is burned; then its disc dies.
	image := uuid.NewString()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.pool.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`insert into image (id, vault_id, library_id, medium, sectors, data_sectors, created, set_id, set_index) select $1, vault_id, library_id, medium, 1000, 1000, now(), id, 12 from disc_set where id = $2`, image, set)
	exec(`insert into task (library_id, kind, image_id) values ($1, 'build', $2)`, a.lib, image)
	place(3)
	exec(`update task set state = 'done', finished = now() where image_id = $1`, image)
	exec(`insert into disc (label, library_id, medium, capacity, state, image_id, burned, verified) values ('parity', $1, 'BD-R', 1000, 'good', $2, now(), now())`, a.lib, image)
	place(4)
	exec(`update disc set state = 'suspect' where label = 'parity'`)
	place(5)
	exec(`update disc set state = 'retired' where label = 'parity'`)
	place(0)
	place(1)
	exec(`update snapshot set origin = 'elsewhere'`)
	place(0)
	// Other libraries have chains of their own.
	b := newAgent(t, s, "south", 1)
	if taken, _ := b.take(t, ample); taken.Place != 0 {
		t.Errorf("%+v", taken)
	}
	place(1)
	// However little changes, a chain ends.
	for n := 2; n <= 16; n++ {
		place(n)
	}
	place(0)
}
