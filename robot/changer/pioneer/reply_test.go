package pioneer

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseReply(t *testing.T) {
	for text, want := range map[string]reply{
		"R":          {form: done},
		"1PSR":       {form: done},
		"B":          {form: busy},
		"E11":        {form: fail, code: "E11"},
		"E7A":        {form: fail, code: "E7A"},
		"P20":        {form: mode, number: 20},
		"1PSP01":     {form: mode, number: 1},
		"XXX":        {form: disc},
		"214":        {form: disc, number: 214},
		"1PS007":     {form: disc, number: 7},
		"P150904":    {form: ident},
		"1PSP151206": {form: ident},
	} {
		if got, err := parseReply([]byte(text), 1); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "r", "R ", "RR", "R\n", "E1", "E1G", "e11", "E111", "P2", "P2A", "P200", "XX", "21", "2145", "000", "+12",
		"P15120", "P15120é", "2PSP01", "1PS", "1PS1PSR", "01PSR", "\x00R", "\xd2",
	} {
		if got, err := parseReply([]byte(text), 1); err == nil {
			t.Errorf("%q was taken for %+v", text, got)
		}
	}
	if _, err := parseReply([]byte("1PSR"), 0); err == nil {
		t.Error("a prefix was taken from a machine that has none")
	}
}

// FuzzParseReply checks that whatever is accepted is nothing but one of the known forms.
func FuzzParseReply(f *testing.F) {
	for _, s := range []string{"R", "B", "E11", "E8A", "P20", "1PSP01", "XXX", "214", "1PSP151206", "\xd2", "12PSR"} {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, line []byte, player int) {
		r, err := parseReply(line, player)
		if err != nil {
			if r != (reply{}) {
				t.Errorf("%q: %+v beside %v", line, r, err)
			}
			return
		}
		s := string(line)
		if player > 0 {
			s = strings.TrimPrefix(s, fmt.Sprint(player, "PS"))
		}
		again := map[form]string{done: "R", busy: "B", fail: r.code, mode: fmt.Sprintf("P%02d", r.number), disc: fmt.Sprintf("%03d", r.number), ident: s}[r.form]
		if r.form == disc && r.number == 0 {
			again = "XXX"
		}
		if s != again || len(s) > 7 {
			t.Errorf("%q was taken for %+v", line, r)
		}
	})
}

// FuzzSplitReply checks that frames are cut at every CR and nowhere else, and that noise is not collected for ever.
func FuzzSplitReply(f *testing.F) {
	f.Add([]byte("R\rE11\r"))
	f.Add([]byte(strings.Repeat("U", 50)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var frames int
		for len(data) > 0 {
			advance, token, err := splitReply(data, false)
			if err != nil || advance == 0 {
				if err == nil && len(data) > maxReply {
					t.Errorf("%d bytes without an end are waited for", len(data))
				}
				return
			}
			if frames++; advance != len(token)+1 || strings.Contains(string(token), "\r") {
				t.Fatalf("frame %d: advance %d for %q", frames, advance, token)
			}
			data = data[advance:]
		}
	})
}
