package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/library"
)

// A quote that has expired by the database's clock starts nothing, and says what to do; one in time does.
func TestQuoteExpires(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	newAgent(t, s, "lib", 1)
	archive := uuid.NewString()
	if _, err := s.pool.Exec(ctx, `
insert into archive (id, vault_id, name, root_hash, manifest_size, entries, bytes) select $1, id, 'a', $2, 1, 1, 0 from vault where name = 'v'`, archive, imageHash); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(ctx, `insert into job (id, kind, archive_id) values ($1, 'archive', $2)`, uuid.NewString(), archive); err != nil {
		t.Fatal(err)
	}
	q, err := s.SaveQuote(ctx, Quote{ID: uuid.NewString(), ArchiveID: archive, Tier: library.Bulk}, nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if left := q.Expires.Sub(q.Due) + time.Hour; left != QuoteTime {
		t.Errorf("the quote can be accepted for %v", left)
	}
	if _, err := s.pool.Exec(ctx, `update quote set created = created - interval '1 day', expires = now() - interval '1 second' where id = $1`, q.ID); err != nil {
		t.Fatal(err)
	}
	retrieval := uuid.NewString()
	_, err = s.AcceptQuote(ctx, retrieval, q.ID, archive, []string{})
	if library.FaultOf(err) != library.Precondition || !strings.Contains(err.Error(), "has expired: ask for a new one") {
		t.Errorf("an expired quote was answered by %v", err)
	}
	var jobs int
	if err := s.pool.QueryRow(ctx, `select count(*) from job where kind = 'retrieval'`).Scan(&jobs); err != nil || jobs != 0 {
		t.Errorf("%d jobs came of an expired quote: %v", jobs, err)
	}
	if _, err := s.pool.Exec(ctx, `update quote set expires = now() + interval '1 minute' where id = $1`, q.ID); err != nil {
		t.Fatal(err)
	}
	if r, err := s.AcceptQuote(ctx, retrieval, q.ID, archive, []string{}); err != nil || r.Tier != library.Bulk {
		t.Errorf("a quote in time was answered by %+v %v", r, err)
	}
}
