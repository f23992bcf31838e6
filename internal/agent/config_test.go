package agent

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const goodConfig = `name = "burner-1"
library = "north"
controller = "unix:///run/odarchive.sock"
data = "/var/lib/agent"

[scratch]
limit = 200_000_000_000

[robot]
kind = "pioneer"
port = "/dev/ttyUSB0"
model = "CAC-V3000"
units = 2

[[drive]]
number = 1
kind = "file"
path = "/srv/drive1"

[[drive]]
number = 2
kind = "file"
path = "/srv/drive2"
`

func readConfig(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return ReadConfig(path)
}

func TestConfig(t *testing.T) {
	c, err := readConfig(t, goodConfig)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Name: "burner-1", Library: "north", Controller: "unix:///run/odarchive.sock", Data: "/var/lib/agent",
		Scratch: ScratchConfig{Limit: 200e9},
		Robot:   RobotConfig{Kind: "pioneer", Port: "/dev/ttyUSB0", Model: "CAC-V3000", Units: 2},
		Drives:  []DriveConfig{{Number: 1, Kind: "file", Path: "/srv/drive1"}, {Number: 2, Kind: "file", Path: "/srv/drive2"}},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("have %+v\nwant %+v", c, want)
	}
	if d := c.scratchDir(); d != "/var/lib/agent/scratch" {
		t.Errorf("scratch in %s", d)
	}
}

func TestConfigIsRefused(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`units = 2`, `unit = 2`, "unit = 2"},
		{`units = 2`, `units = "two"`, "line 13"},
		{`units = 2`, `units = `, "line 13"},
		{`name = "burner-1"`, ``, "name is missing"},
		{`data = "/var/lib/agent"`, ``, "data is missing"},
		{`number = 2`, `number = 1`, "drive 1"},
		{`number = 2`, `number = 0`, "line 20: drive 0"},
		{`path = "/srv/drive2"`, `path = "/srv/../srv/drive1"`, "line 20: drive 2: /srv/../srv/drive1 is drive 1 already"},
		{`path = "/srv/drive2"`, "path = \"/srv/drive2\"\nspeed = -2", "drive 2: speed"},
		{"kind = \"file\"\npath = \"/srv/drive2\"", "kind = \"linux\"\npath = \"/dev/sr7\"\nscan = \"nec\"", `drive 2: scan "nec"`},
		{`path = "/srv/drive2"`, "path = \"/srv/drive2\"\nscan = \"mediatek\"", `line 24: drive 2: scan: the kind "file"`},
		{`limit = 200_000_000_000`, `limit = -1`, "scratch.limit"},
		{`kind = "pioneer"`, `kind = "poineer"`, `robot kind "poineer"`},
		{"kind = \"file\"\npath = \"/srv/drive2\"", "kind = \"tape\"\npath = \"x\"", `drive 2: kind "tape"`},
		{`number = 2`, `number = 5`, "line 20: drive 5: the robot has drives 1 to 4"},
		{`port = "/dev/ttyUSB0"`, ``, "robot.port is missing"},
		{`model = "CAC-V3000"`, `model = "CAC-V9"`, "CAC-V5000"},
		{`units = 2`, "units = 2\ncapacity = [9]", `line 14: capacity: the kind "pioneer" has no such field`},
		{`path = "/srv/drive2"`, "path = \"/srv/drive2\"\n burner=\"x\"", `line 24: drive 2: burner: the kind "file" has no such field`},
		{`units = 2`, "units = 2\nspeed = nan", "robot.speed is NaN"},
		{`units = 2`, "units = 2\nspeed = inf", "robot.speed is +Inf"},
		{`units = 2`, "units = -2", "robot.units is -2"},
		{`units = 2`, "units = 2\nbaud = -9600", "robot.baud is -9600"},
		{`units = 2`, "units = 2\nfirst_player = -1", "robot.first_player is -1"},
		{"kind = \"pioneer\"\nport = \"/dev/ttyUSB0\"\nmodel = \"CAC-V3000\"\nunits = 2", "kind = \"dialect\"\ndialect = \"rimage-liberty\"\ndiscs = [109]\nport = \"x\"", "robot.discs: 109 discs in bin 1"},
		{"kind = \"pioneer\"\nport = \"/dev/ttyUSB0\"\nmodel = \"CAC-V3000\"\nunits = 2", "kind = \"dialect\"\ndialect = \"amtren\"\nport = \"x\"", "bin 1 holds must be configured"},
		{"kind = \"pioneer\"\nport = \"/dev/ttyUSB0\"\nmodel = \"CAC-V3000\"\nunits = 2", "kind = \"manual\"", "robot.slots is 0"},
		{"[robot]", "[tls]\ncert = \"x\"\n[robot]", "tls.cert and tls.key go together"},
		{"[robot]", "[tls]\ncert = \"x\"\nkey = \"y\"\n[robot]", "without tls.ca"},
	} {
		text := strings.Replace(goodConfig, c.old, c.new, 1)
		if text == goodConfig {
			t.Fatalf("%q is not in the good one", c.old)
		}
		if _, err := readConfig(t, text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("with %q: error %v, want one with %q", c.new, err, c.want)
		}
	}
	if _, err := ReadConfig("/nonexistent/agent.toml"); err == nil || !strings.Contains(err.Error(), "/nonexistent/agent.toml") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestPlainText: it stays on this host unless somebody says otherwise.
func TestPlainText(t *testing.T) {
	for address, plain := range map[string]bool{
		"unix:///run/x.sock": true, "localhost:1": true, "127.0.0.1:1": true, "[::1]:1": true,
		"example.org:1": false, "10.0.0.1:1": false, "dns:///localhost:1": false,
	} {
		conn, err := dial(Config{Controller: address})
		if (err == nil) != plain {
			t.Errorf("%s: %v", address, err)
		}
		if conn != nil {
			conn.Close()
		}
		if conn, err = dial(Config{Controller: address, TLS: TLS{Plain: true}}); err != nil {
			t.Errorf("%s with tls.plain: %v", address, err)
		} else {
			conn.Close()
		}
	}
	if _, err := dial(Config{Controller: "example.org:1", TLS: TLS{CA: "/nonexistent"}}); err == nil || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("a CA that is not there: %v", err)
	}
}

// TestDeviceOf: the two nodes of a drive are one device, and so are a name that stays and what it leads to.
func TestDeviceOf(t *testing.T) {
	sys, dev := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(sys, "class/block/sr0/device/scsi_generic/sg3"), 0o755); err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(dev, "sr0")
	if err := os.WriteFile(node, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(node, filepath.Join(dev, "by-path")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sr0", "by-path", "x/../sr0", "sg3"} {
		if have, want := deviceOf(sys, filepath.Join(dev, name)), filepath.Join(dev, "sg3"); have != want {
			t.Errorf("%s is %s, want %s", name, have, want)
		}
	}
	if have := deviceOf(sys, filepath.Join(dev, "sr1")); have != filepath.Join(dev, "sr1") {
		t.Errorf("a drive without another node is %s", have)
	}
}
