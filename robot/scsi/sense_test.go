package scsi

import (
	"context"
	"encoding/hex"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func bytesOf(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(unspaced(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSense(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{"70 00 02 00000000 0a 00000000 3a 00 00 000000", "2/3A/00 not ready, no medium"},
		{"f0 00 03 00001234 0a 00000000 11 05 00 000000", "3/11/05 medium error, uncorrectable sector, at 4660"},
		{"71 00 03 00000000 0a 00000000 0c 00 00 000000", "3/0C/00 medium error, write error, of an earlier command"},
		{"70 00 02 00000000 0a 00000000 04 07 00 804000", "2/04/07 not ready, operation in progress"},
		{"72 05 53 02 00000000", "5/53/02 illegal request, removal of the medium is prevented"},
		{"72 03 11 00 0000000c 00 0a 80 00 0000000000005678", "3/11/00 medium error, unrecovered read error, at 22136"},
		{"72 04 09 02 000000", "4/09/02 hardware error, focus servo failure"},
		{"70 00 06", "6/00/00 unit attention"},
		{"70 00 05 00000000 0a 00000000 ee 07", "5/EE/07 illegal request"},
	} {
		s, ok := ParseSense(bytesOf(t, c.raw))
		if !ok || s.String() != c.want {
			t.Errorf("%s: %q, %v; want %q", c.raw, s, ok, c.want)
		}
	}
	if s, _ := ParseSense(bytesOf(t, "70 00 02 00000000 0a 00000000 04 07 00 804000")); !s.HasProgress || s.Progress != 0x4000 {
		t.Errorf("progress: %+v", s)
	}
	for _, raw := range []string{"", "70", "00 00 02", "7f 00 02 0000", "72 05"} {
		if s, ok := ParseSense(bytesOf(t, raw)); ok {
			t.Errorf("%q is sense data: %v", raw, s)
		}
	}
}

func TestActions(t *testing.T) {
	for c, want := range map[Code]Action{
		{NotReady, 0x04, 0x01}:       FastRetry,
		{UnitAttention, 0x29, 0x02}:  FastRetry,
		{NotReady, 0x04, 0x08}:       SlowRetry,
		{HardwareError, 0x09, 0x02}:  DriveDown,
		{HardwareError, 0x04, 0x03}:  Operator,
		{NotReady, 0x04, 0x02}:       NoRetry,
		{IllegalRequest, 0x53, 0x02}: NoRetry,
		{MediumError, 0x11, 0x00}:    NoRetry,
		{0x9, 0x80, 0x01}:            NoRetry,
	} {
		if a := ActionFor(c); a != want {
			t.Errorf("%v: %v, want %v", c, a, want)
		}
	}
	for err, want := range map[error]Action{
		&StatusError{Status: Busy}:                FastRetry,
		&StatusError{Status: ReservationConflict}: NoRetry,
		&PathError{Kind: ErrGone}:                 DriveDown,
		&PathError{Kind: ErrTimeout}:              NoRetry, // nobody knows what it did
		errors.New("another"):                     NoRetry,
	} {
		if a := ActionOf(err); a != want {
			t.Errorf("%v: %v, want %v", err, a, want)
		}
	}
}

// scripted fails with one error after the other and then succeeds.
type scripted []error

func (s *scripted) Do(Command) (int, error) {
	if len(*s) == 0 {
		return 0, nil
	}
	err := (*s)[0]
	*s = (*s)[1:]
	return 0, err
}

func (*scripted) Close() error { return nil }

func check(key Key, asc, ascq byte) error {
	return &CheckCondition{Sense: Sense{Code: Code{key, asc, ascq}}}
}

func TestPatience(t *testing.T) {
	attention, becoming, formatting := check(UnitAttention, 0x28, 0), check(NotReady, 4, 1), check(NotReady, 4, 4)
	forever := scripted{}
	for range 1000 {
		forever = append(forever, becoming)
	}
	for _, c := range []struct {
		name   string
		script scripted
		fails  bool
		takes  time.Duration
	}{
		{"success", nil, false, 0},
		{"stacked attentions", scripted{attention, attention, attention}, false, 0},
		{"becoming ready", scripted{attention, becoming, becoming}, false, 2 * time.Second},
		{"formatting", scripted{formatting, formatting}, false, 20 * time.Second},
		{"never ready", forever, true, time.Minute},
		{"medium error", scripted{check(MediumError, 0x11, 0)}, true, 0},
		{"no answer", scripted{&PathError{Kind: ErrTimeout}}, true, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := DefaultPatience().Do(t.Context(), &c.script, Command{CDB: TestUnitReady()})
			if took := time.Since(start); (err != nil) != c.fails || took != c.takes {
				t.Errorf("%s: %v after %v, want failure %v after %v", c.name, err, took, c.fails, c.takes)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := DefaultPatience().Do(ctx, &scripted{formatting}, Command{CDB: TestUnitReady()}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an ended context: %v", err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(bytesOf(f, "f0 00 03 00001234 0a 00000000 11 05 00 000000"))
	f.Add(bytesOf(f, "72 03 11 00 0000000c 00 0a 80 00 0000000000005678"))
	f.Add(bytesOf(f, "0400000100000038 02800034 00000030 0400010000000000008004 00"))
	f.Add(append(bytesOf(f, "13000000 1d12 0010 0001 0400 0014 0200 0002 0001 0002"), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := ParseSense(b)
		if ok && (s.String() == "" || s.HasInformation && s.Information < 0) {
			t.Errorf("%+v", s)
		}
		ParseInquiry(b)
		elements, err := ParseElementStatus(b)
		if err == nil && len(elements) > len(b)/4 {
			t.Errorf("%d elements from %d bytes", len(elements), len(b))
		}
		for _, e := range elements {
			e.Exception()
		}
		ParseElementAddresses(b)
		ParseExchanges(b)
		ParseSupported(b)
		ParseProfile(b)
		ParseDiscInformation(b)
		ParseTrackInformation(b)
		ParseCapacity(b)
		ParseFormatCapacities(b)
		ParseBDMediaID(b)
		ParseDVDPlusMediaID(b)
	})
}
