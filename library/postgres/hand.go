package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// handFull is which pickers hold a disc, or may: their units carry nothing. Each further move would end as the last one did, and leave two more
// places of which nobody knows what they hold.
const handFull = `kind = 'picker' and (fill = 'full' or flag <> '')`

// inHand: where a move has left its disc nobody knows, and the hand may hold it. A robot that tells what its hand holds settles that with its next
// report; of others somebody has to look. Robots that have no hand are as they were.
func (rec *recorder) inHand(why string) error {
	return rec.exec(`
update element p set fill = 'unknown', disc_id = null, flag = $4 from element d
 where p.library_id = $1 and p.kind = 'picker' and d.library_id = $1 and d.kind = $2 and d.number = $3 and p.unit = d.unit`,
		rec.lib, rec.t.From.Kind, rec.t.From.Number, rec.named("%s may be in its hand, and it carries nothing until that is known: ")+why)
}

// outOfHand: it has become known in which place a disc is, so that no hand holds it.
func outOfHand(ctx context.Context, tx pgx.Tx, lib string, disc int64) error {
	_, err := tx.Exec(ctx, `
update element p set fill = 'empty', flag = '' from disc d
 where p.library_id = $1 and p.kind = 'picker' and d.id = $2 and starts_with(p.flag, format('disc %s may be in its hand', d.label))`, lib, disc)
	return err
}

// picker is what the robot says of a hand. While something moves, it may hold a disc and be well.
func (m *merger) picker(e ReportedElement, old believed) error {
	switch {
	case e.Fill == Empty:
		_, err := m.tx.Exec(m.ctx, `
update element set fill = 'empty', disc_id = null, flag = '' where library_id = $1 and kind = 'picker' and number = $2 and (fill <> 'empty' or flag <> '')`, m.lib, e.Place.Number)
		return err
	case e.Fill == Full && old.Fill != Full && len(m.moving) == 0:
		return m.set(e.Place, Full, nil, 0, "the robot has a disc in its hand, and carries nothing until that is out")
	}
	return nil
}
