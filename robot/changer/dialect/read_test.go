package dialect

import (
	"strings"
	"testing"
)

func TestBuiltin(t *testing.T) {
	names := Builtin()
	if len(names) < 5 {
		t.Errorf("built in are %v", names)
	}
	for _, name := range names {
		if d, err := Load(name); err != nil || d.Facts == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Load("rimage"); err == nil || !strings.Contains(err.Error(), "rimage-liberty") {
		t.Errorf("an unknown one: %v", err)
	}
}

func text(t testing.TB, name string) string {
	t.Helper()
	b, err := builtin.ReadFile("builtin/" + name + ".toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRefused breaks a good dialect in many ways; each error must show the file and a line, and say why.
func TestRefused(t *testing.T) {
	good := text(t, "amtren")
	for _, c := range []struct{ old, new, want string }{
		{"baud = 9600", "bauds = 9600", "x.toml:7: unknown key"},
		{"baud = 9600", "baud = 0", "baud is missing"},
		{"baud = 9600", "baud = 9600\nparity = \"odds\"", "x.toml:8: "},
		{"reply_size = 1", "reply_size = 1\nreply_end = \"\\n\"", "x.toml:9: frame"},
		{"reply_size = 1", "", "x.toml:9: frame"},
		{`send = "I"`, `send = "I{slot}"`, "{slot}"},
		{`send = "I"`, `send = "I{bin}"`, "{bin} has no meaning here"},
		{`match = '00', means = "done"`, `match = '0(', means = "done"`, "missing closing"},
		{`match = '00', means = "done"`, `match = '00', means = "fine"`, `"fine": want one of done`},
		{`ask = "status"`, `ask = "state"`, `ask = "state"`},
		{"limit = \"60s\"\ndisc", "limit = \"sixty\"\ndisc", "invalid duration"},
		{"limit = \"60s\"\ndisc", "disc", "needs a limit"},
		{"disc = \"destination\"", "disc = \"hand\"", "no step leaves the disc"},
		{"to = \"drive 1\"", "to = \"drive 2\"", "drive 2: there are 1"},
		{"from = \"bin 1\"\n", "", "want from and to"},
		{"from = \"drive 1\"\nto = \"bin 2\"", "from = \"drive 1\"\nto = \"bin 1\"", "none from drive 1 to bin 2"},
		{"[[probe]]", "[[ready]]", "probe: there is none"},
		{"takes = true", "", "bin: it neither gives nor takes"},
		{"size = 2", "size = -2", "size is -2"},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		if bad == good {
			t.Fatalf("%q is not in the good one", c.old)
		}
		_, err := Parse("x.toml", []byte(bad))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "x.toml:") {
			t.Errorf("with %q: error %v, want one with %q and its line", c.new, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Builtin() {
		f.Add([]byte(text(f, name)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := Parse("x.toml", b); (d == nil) == (err == nil) {
			t.Errorf("%v, %v", d, err)
		}
	})
}

// FuzzReply: whatever comes from a line, cutting it into answers ends, takes no more than there is, and every answer has at most
// one meaning, which is a failure unless the dialect says otherwise.
func FuzzReply(f *testing.F) {
	f.Add([]byte("\x1b!f11C\x04"), 0)
	f.Add([]byte("T03D1\nS04C03E00I11111000O11111111\n\x15"), 1)
	f.Add([]byte("X22"), 2)
	var all []*Dialect
	for _, name := range Builtin() {
		d, err := Load(name)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, d)
	}
	f.Fuzz(func(t *testing.T, b []byte, which int) {
		d := all[uint(which)%uint(len(all))]
		split := d.Frame.split(0)
		for len(b) > 0 {
			n, token, err := split(b, false)
			if n < 0 || n > len(b) || len(token) > n || n == 0 && token != nil {
				t.Fatalf("%q: %d, %q", b, n, token)
			}
			if err != nil || n == 0 {
				return
			}
			for _, c := range d.Carry {
				for _, s := range c.Steps {
					if r, ok := s.meaning(string(token)); ok && r.Means.Word != done && r.Means.Word != more && r.Means.Word != ask && kinds[r.Means.Word] == nil {
						t.Errorf("%q means %q, which is no failure", token, r.Means.Word)
					}
				}
			}
			b = b[n:]
		}
	})
}
