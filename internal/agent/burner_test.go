package agent

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDriveWithoutItsBurner: a drive whose cdrskin is missing, too old, something else or dies is left out when the agent starts, with the reason and
// with what to do, and the other drives go on. No disc is needed to find that out.
func TestDriveWithoutItsBurner(t *testing.T) {
	dir := t.TempDir()
	program := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cases := []struct{ burner, want string }{
		{filepath.Join(dir, "cdrskin-that-is-not-there"), "not installed"},
		{program("old", `echo "cdrskin version   :  1.1.8"`), "1.5.0 or newer"},
		{program("other", `echo "Cdrecord-ProDVD"`), "no cdrskin"},
		{program("killed", `kill -9 $$`), "killed"},
	}
	c := Config{Name: "a", Library: "l", Controller: "unix:///nowhere", Data: filepath.Join(dir, "data")}
	c.Robot = RobotConfig{Kind: "manual", Slots: 5, Drives: len(cases) + 1, Label: "%d"}
	for i, x := range cases {
		c.Drives = append(c.Drives, DriveConfig{Number: i + 1, Kind: "linux", Path: fmt.Sprintf("/dev/sr%d", 90+i), Burner: x.burner})
	}
	well := filepath.Join(dir, "drive")
	if err := os.Mkdir(well, 0o755); err != nil {
		t.Fatal(err)
	}
	c.Drives = append(c.Drives, DriveConfig{Number: len(cases) + 1, Kind: "file", Path: well})
	m := Main{Config: c, Log: slog.New(slog.DiscardHandler)}
	a := &agent{log: m.Log, bays: map[int32]*bay{}}
	r := &resources{}
	defer func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := m.openData(a, r); err != nil {
		t.Fatal(err)
	}
	if err := m.openMachine(t.Context(), a, r); err != nil {
		t.Fatal(err)
	}
	for i, x := range cases {
		if why := a.bays[int32(i+1)].trouble(); !strings.Contains(why, x.want) || !strings.Contains(why, "read_only = true") {
			t.Errorf("%s: left out for %q, want %q", x.burner, why, x.want)
		}
	}
	if why := a.bays[int32(len(cases)+1)].trouble(); why != "" {
		t.Errorf("the drive that is well is left out: %s", why)
	}
}
