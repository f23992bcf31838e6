package smc

import (
	"context"
	"errors"
	"fmt"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

// order is the order of kinds in an inventory, by their names.
var order = []struct {
	kind robot.Kind
	is   scsi.ElementType
}{
	{robot.DriveBay, scsi.DataTransfer},
	{robot.MailSlot, scsi.ImportExport},
	{robot.Picker, scsi.MediumTransport},
	{robot.Slot, scsi.Storage},
}

// Inventory follows robot.Changer. It fails with ErrInventory, once, after the changer started anew or its mail slot was
// opened.
func (c *Changer) Inventory(ctx context.Context) ([]robot.Element, error) {
	const op = "inventory"
	release, err := c.hand.Take(ctx, op)
	if err != nil {
		return nil, err
	}
	defer release()
	return c.survey(ctx, op)
}

func (c *Changer) survey(ctx context.Context, op string) ([]robot.Element, error) {
	var all []robot.Element
	for _, o := range order {
		if c.elements[o.is].Count == 0 {
			continue
		}
		found, err := c.read(ctx, op, o.is)
		if err != nil {
			return nil, err
		}
		for n := range int(c.elements[o.is].Count) {
			e := robot.Element{Address: robot.Address{Kind: o.kind, Number: n + 1}, Unit: 1}
			if s, ok := found[c.elements[o.is].First+uint16(n)]; ok {
				e.Fill, e.Trouble = fill(s), s.Exception()
				if e.Fill == robot.Full {
					e.Tag = s.Tag
				}
				if home := c.elements[scsi.Storage]; o.is == scsi.DataTransfer && e.Fill == robot.Full && s.HasSource && home.Has(s.Source) {
					e.Home = robot.Address{Kind: robot.Slot, Number: int(s.Source-home.First) + 1}
				}
			}
			all = append(all, e)
		}
	}
	doubtHomes(all)
	return all, nil
}

// doubtHomes forgets homes that can't be: claimed by two drives, or with a disc in them. Changers give such answers when a
// disc was put away elsewhere than it came from.
func doubtHomes(all []robot.Element) {
	claims, full := map[robot.Address]int{}, map[robot.Address]bool{}
	for _, e := range all {
		claims[e.Home]++
		full[e.Address] = e.Fill == robot.Full
	}
	for i, e := range all {
		if claims[e.Home] > 1 || full[e.Home] {
			all[i].Home = robot.Address{}
		}
	}
}

// fill says what is known of an element. A volume tag that can't be read says nothing against the disc being there.
func fill(s scsi.Element) robot.Fill {
	tag := s.ASC == 0x83 && (s.ASCQ == 0x00 || s.ASCQ == 0x09) || s.ASC == 0x30 && s.ASCQ == 0x03
	switch {
	case s.Except && !tag:
		return robot.Unknown
	case s.Full:
		return robot.Full
	}
	return robot.Empty
}

// forgotten is how many bytes of an answer may be missing at its end: tgtd doesn't count the header in what it sends. The
// end of a descriptor has nothing that is used here.
const forgotten = 8

// read asks for all elements of a type, by their addresses. Types are asked for one by one: answers with several are
// malformed by some changers.
func (c *Changer) read(ctx context.Context, op string, t scsi.ElementType) (map[uint16]scsi.Element, error) {
	where := c.elements[t]
	size := 16 + 128*int(where.Count)
	for range 4 {
		answer := make([]byte, size)
		n, err := c.ask(ctx, scsi.Command{
			CDB: scsi.ReadElementStatus(t, !c.noTags, where.First, where.Count, uint32(size)), In: answer, Timeout: c.cfg.Timing.Query,
		})
		if s, ok := scsi.SenseOf(err); ok && s.Key == scsi.IllegalRequest && !c.noTags {
			c.noTags = true
			continue
		}
		if err != nil {
			return nil, failed(op, robot.Address{}, err)
		}
		whole, err := scsi.ElementStatusSize(answer[:n])
		if err == nil && whole > size {
			size = whole
			continue
		}
		if whole-n <= forgotten {
			n = max(n, whole)
		}
		elements, err := scsi.ParseElementStatus(answer[:n])
		if err != nil {
			return nil, &robot.Error{Op: op, Kind: robot.ErrComm, Detail: err.Error()}
		}
		found := map[uint16]scsi.Element{}
		for _, e := range elements {
			if e.Type == t && where.Has(e.Address) {
				found[e.Address] = e
			}
		}
		return found, nil
	}
	return nil, &robot.Error{Op: op, Kind: robot.ErrComm, Detail: fmt.Sprintf("its answers outgrow every buffer, at last %d bytes", size)}
}

// ask runs a question, again while the changer is not ready. A unit attention is for the caller.
func (c *Changer) ask(ctx context.Context, q scsi.Command) (int, error) {
	return c.patience().Do(ctx, attentive{c.device}, q)
}

// attentive makes unit attentions errors that nobody repeats a command over.
type attentive struct{ scsi.Transport }

func (a attentive) Do(c scsi.Command) (int, error) {
	n, err := a.Transport.Do(c)
	if told, ok := errors.AsType[*scsi.CheckCondition](err); ok && told.Sense.Key == scsi.UnitAttention {
		return n, attention{told}
	}
	if scsi.Done(err) {
		return n, nil
	}
	return n, err
}

// attention is a unit attention; SenseOf doesn't see it.
type attention struct{ told *scsi.CheckCondition }

func (a attention) Error() string { return a.told.Error() }
