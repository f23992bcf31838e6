package odtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/odarchive/odarchive/internal/cli"
)

// terminal is somebody who types commands at a site's controller.
type terminal struct {
	*Site
	t *testing.T
}

func (u terminal) types(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, complaints bytes.Buffer
	code = cli.Run(ctx, append([]string{"--controller", u.address()}, args...), &out, &complaints)
	return code, out.String(), complaints.String()
}

// must runs a command that ends with a code and returns what it prints.
func (u terminal) must(code int, args ...string) (stdout, stderr string) {
	u.t.Helper()
	got, stdout, stderr := u.types(u.t.Context(), args...)
	if got != code {
		u.t.Fatalf("odarchive %q ended with %d, want %d\nstdout: %s\nstderr: %s", args, got, code, stdout, stderr)
	}
	return stdout, stderr
}

// document runs a command with --json and returns the only document that it prints, which must have the keys; of a list each item.
func (u terminal) document(code int, keys []string, args ...string) (items []map[string]any) {
	u.t.Helper()
	stdout, _ := u.must(code, append(args, "--json")...)
	if strings.HasPrefix(stdout, "{") {
		stdout = "[" + stdout + "]"
	}
	if err := json.Unmarshal([]byte(stdout), &items); err != nil {
		u.t.Fatalf("odarchive %q --json: %v\n%s", args, err, stdout)
	}
	for _, item := range items {
		for _, key := range keys {
			if _, ok := item[key]; !ok {
				u.t.Errorf("odarchive %q --json has no %q: %v", args, key, item)
			}
		}
	}
	if len(items) == 0 {
		u.t.Errorf("odarchive %q --json is empty", args)
	}
	return items
}

// fails runs a command that must fail: nothing on stdout, and on stderr what was wrong, as people and as programs read it.
func (u terminal) fails(code int, says string, args ...string) {
	u.t.Helper()
	stdout, stderr := u.must(code, args...)
	if stdout != "" || !strings.HasPrefix(stderr, "odarchive: ") || !strings.Contains(stderr, says) || strings.Contains(stderr, "rpc error") {
		u.t.Errorf("odarchive %q: want %q on stderr and nothing on stdout\nstdout: %s\nstderr: %s", args, says, stdout, stderr)
	}
	stdout, stderr = u.must(code, append([]string{"--json"}, args...)...)
	var complaint struct {
		Error string `json:"error"`
		Code  int    `json:"exit_code"`
	}
	if err := json.Unmarshal([]byte(stderr), &complaint); err != nil || complaint.Error == "" || complaint.Code != code || stdout != "" {
		u.t.Errorf("odarchive --json %q complains %s (%v), with %q on stdout", args, stderr, err, stdout)
	}
}

// nothing fails the test when something is below dir.
func (u terminal) nothing(dir string) {
	u.t.Helper()
	if left, err := os.ReadDir(dir); !errors.Is(err, fs.ErrNotExist) && len(left) > 0 {
		u.t.Errorf("left behind in %s: %v", dir, left)
	}
}

// What people type and what they see, from the first archive to its return: with and without --json, when it goes well and when not.
func TestCommands(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 3000, Blanks: 12})
	source, target := s.path("source"), s.path("back")
	s.fill(source, 11)
	var id string // of the first archive
	step := func(name string, f func(u terminal)) {
		t.Helper()
		if !t.Run(name, func(t *testing.T) { f(terminal{s, t}) }) {
			t.FailNow()
		}
	}

	step("help", func(u terminal) {
		for _, args := range [][]string{{}, {"--help"}, {"help", "put"}, {"get", "--help"}} {
			if stdout, _ := u.must(cli.ExitOK, args...); !strings.Contains(stdout, "Usage:") {
				u.t.Errorf("odarchive %q: %s", args, stdout)
			}
		}
		codes, _ := u.must(cli.ExitOK, "help", "exit-codes")
		for _, code := range []string{"0 ", "1 ", "2 ", "3 ", "4 ", "5 ", "130 "} {
			if !strings.Contains(codes, "\n  "+code) && !strings.HasPrefix(codes, "  "+code) {
				u.t.Errorf("exit code %s isn't explained:\n%s", code, codes)
			}
		}
		script, _ := u.must(cli.ExitOK, "completion", "bash")
		bash := exec.CommandContext(u.t.Context(), "bash", "-n")
		bash.Stdin = strings.NewReader(script)
		if out, err := bash.CombinedOutput(); err != nil || !strings.Contains(script, "odarchive") {
			u.t.Errorf("bash can't read its completion: %v %s", err, out)
		}
	})
	step("usage", func(u terminal) {
		for _, args := range [][]string{
			{"frobnicate"},
			{"put"},
			{"put", source, "more"},
			{"put", source, "--no-such-flag"},
			{"get", "x"},
			{"get"},
			{"get", "x", "--to", target, "--tier", "soon"},
			{"ls"},
			{"jobs", "show"},
			{"discs", "--state", "eaten"},
			{"scrub", "--due", "--all"},
			{"library", "stock"},
			{"library", "stock", "--slots", "9-1"},
			{"drives", "up", "first"},
			{"stats", "all"},
			{"compare", source},
		} {
			u.fails(cli.ExitUsage, "--help`", args...)
		}
		u.nothing(target)
	})
	step("unreachable", func(u terminal) {
		for _, args := range [][]string{{"archives"}, {"jobs"}, {"stats"}, {"get", "x", "--to", target}, {"put", source}, {"wait", "x"}, {"jobs", "retry", "x"}} {
			u.fails(cli.ExitUnreachable, "is it running?", append([]string{"--controller", "unix://" + s.path("nobody")}, args...)...)
		}
		u.nothing(target)
	})
	step("interrupted", func(u terminal) {
		ctx, cancel := context.WithCancel(u.t.Context())
		cancel()
		for _, args := range [][]string{{"put", source}, {"archives"}} {
			if code, stdout, stderr := u.types(ctx, args...); code != cli.ExitInterrupted || stdout != "" || !strings.Contains(stderr, "interrupted") {
				u.t.Errorf("odarchive %q ended with %d\nstdout: %s\nstderr: %s", args, code, stdout, stderr)
			}
		}
	})
	step("put", func(u terminal) {
		u.fails(cli.ExitNotFound, "nowhere", "put", s.path("nowhere"))
		u.fails(cli.ExitNotFound, "novault", "put", source, "--vault", "novault")
		a := u.document(cli.ExitOK, []string{"id", "name", "vault", "root_hash", "entries", "bytes", "sealed", "job_id"}, "put", source, "--name", "first", "--wait")[0]
		id = a["id"].(string)
		if a["state"] != "ARCHIVE_STATE_SAFE" || len(a["discs"].([]any)) < 2 {
			u.t.Errorf("not safe on some discs: %v", a)
		}
		if stdout, _ := u.must(cli.ExitOK, "put", source, "--name", "second"); !strings.Contains(stdout, "\"second\" in vault") || !strings.Contains(stdout, "waits in staging") {
			u.t.Errorf("it says %s", stdout)
		}
	})
	step("put with what is no file", func(u terminal) {
		odd := s.path("odd")
		for _, err := range []error{
			os.Mkdir(odd, 0o755), os.WriteFile(filepath.Join(odd, "plain"), []byte("x"), 0o644), syscall.Mkfifo(filepath.Join(odd, "fifo"), 0o644),
		} {
			if err != nil {
				u.t.Fatal(err)
			}
		}
		if stdout, stderr := u.must(cli.ExitOK, "put", odd); strings.Contains(stderr, "left out") || !strings.Contains(stdout, "3 entries") {
			u.t.Errorf("stdout: %s\nstderr: %s", stdout, stderr)
		}
		if a := u.document(cli.ExitOK, []string{"id"}, "put", odd, "--keep-going")[0]; a["entries"] != "3" {
			u.t.Errorf("%v", a)
		}
		if os.Geteuid() == 0 {
			return // root reads everything
		}
		if err := os.WriteFile(filepath.Join(odd, "secret"), nil, 0); err != nil {
			u.t.Fatal(err)
		}
		if stdout, stderr := u.must(cli.ExitFailure, "put", odd); stdout != "" || !strings.Contains(stderr, "secret") {
			u.t.Errorf("stdout: %s\nstderr: %s", stdout, stderr)
		}
		if _, stderr := u.must(cli.ExitPartial, "put", odd, "--keep-going"); !strings.Contains(stderr, "left out: secret") {
			u.t.Errorf("stderr: %s", stderr)
		}
	})
	step("lists", func(u terminal) {
		job := u.document(cli.ExitOK, []string{"id", "job_id", "discs"}, "archives", "show", id)[0]["job_id"].(string)
		for _, c := range []struct {
			args, keys []string
			head       string // begins or is in what people see
		}{
			{[]string{"archives"}, []string{"id", "vault", "name", "sealed", "entries", "bytes", "state", "discs"}, "ID "},
			{[]string{"archives", "show", id[:8]}, []string{"id", "root_hash"}, "safe on "},
			{[]string{"vaults"}, []string{"name", "copies", "roots", "max_wait_seconds", "archives", "bytes"}, "NAME "},
			{[]string{"jobs"}, []string{"id", "kind", "state", "bytes", "bytes_done", "archive_name", "waiting_for"}, "ID "},
			{[]string{"jobs", "show", job}, []string{"id", "kind", "state"}, "archive, succeeded"},
			{[]string{"wait", id, "--quiet"}, []string{"id", "state"}, "succeeded"},
			{[]string{"discs"}, []string{"label", "state", "library", "place", "medium", "recorded", "capacity", "vault"}, "DISC "},
			{[]string{"discs", "--state", "blank"}, []string{"label"}, "blank"},
			{[]string{"library"}, []string{"name", "model", "agent", "online", "slots", "drives", "blank", "good"}, "NAME "},
			{[]string{"library", "elements"}, []string{"address", "unit", "fill", "disc", "flag"}, "PLACE "},
			{[]string{"library", "stock", "--slots", "11-12", "--capacity", "3000"}, []string{"added", "known"}, "2 were known"},
			{[]string{"drives"}, []string{"library", "number", "name", "state", "disc", "doing"}, "LIBRARY "},
			{[]string{"drives", "down", "4"}, []string{"number", "state", "reason"}, "drive 4 of library site is down"},
			{[]string{"drives", "up", "4"}, []string{"number", "state"}, "drive 4 of library site is up"},
			{[]string{"scrub", "--all", "--wait", "--quiet"}, []string{"id", "kind", "state"}, "scrub, succeeded"},
			{[]string{"stats"}, []string{"discs_burned", "bytes_burned", "discs_verified", "moves", "bytes_staged"}, "discs burned "},
			{[]string{"version"}, []string{"version"}, "odarchive "},
		} {
			u.document(cli.ExitOK, c.keys, c.args...)
			if stdout, stderr := u.must(cli.ExitOK, c.args...); !strings.Contains(stdout, c.head) || stderr != "" {
				u.t.Errorf("odarchive %q: want %q\nstdout: %s\nstderr: %s", c.args, c.head, stdout, stderr)
			}
		}
		for want, args := range map[string][]string{
			id[:8]: {"get", ""}, job[:8]: {"jobs", "show", ""}, "0001": {"discs", "show", ""}, "0002": {"scrub", "0001", ""}, "default": {"put", "--vault", ""},
		} {
			if stdout, _ := u.must(cli.ExitOK, append([]string{"__complete"}, args...)...); !strings.Contains(stdout, want) {
				u.t.Errorf("%q isn't completed with %s: %s", args, want, stdout)
			}
		}
		u.document(cli.ExitOK, []string{"name", "copies"}, "vault", "create", "letters", "--copies", "2")
		if archives := u.document(cli.ExitOK, nil, "archives"); len(archives) != 4 {
			u.t.Errorf("%d archives, want the 4 that were put", len(archives))
		}
	})
	step("ls", func(u terminal) {
		stdout, _ := u.must(cli.ExitOK, "ls", id, "--recursive", "--json")
		var paths []string
		for lines := json.NewDecoder(strings.NewReader(stdout)); ; {
			var e map[string]any
			if err := lines.Decode(&e); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				u.t.Fatal(err)
			}
			paths = append(paths, e["path"].(string))
			if hash, _ := e["sha256"].(string); e["kind"] == "file" && len(hash) != 64 {
				u.t.Errorf("%v", e)
			}
		}
		if len(paths) != 23 || !slices.Contains(paths, "small/07") || !slices.Contains(paths, "large") {
			u.t.Errorf("of the 23 entries there are %q", paths)
		}
		if stdout, _ := u.must(cli.ExitOK, "ls", id, "small"); !strings.Contains(stdout, "small/19") || strings.Contains(stdout, "large") {
			u.t.Errorf("of small there is\n%s", stdout)
		}
		u.must(cli.ExitOK, "ls", "first", "--vault", "default")
	})
	step("not found", func(u terminal) {
		const none = "00000000-0000-4000-8000-000000000000"
		for _, c := range []struct {
			says string
			args []string
		}{
			{"`odarchive archives` lists", []string{"archives", "show", none}},
			{"no archive " + none, []string{"ls", none}},
			{"no archive " + none, []string{"get", none, "--to", target}},
			{"has no \"no/such/path\"", []string{"get", id, "no/such/path", "--to", target}},
			{"has no \"no/such/path\"", []string{"ls", id, "no/such/path"}},
			{"`odarchive vault create novault`", []string{"ls", "first", "--vault", "novault"}},
			{"no job " + none, []string{"jobs", "show", none}},
			{"no job " + none, []string{"jobs", "cancel", none}},
			{"no job " + none, []string{"wait", none}},
			{"no disc no-such-disc", []string{"scrub", "no-such-disc"}},
			{"has no drive 99", []string{"drives", "up", "99"}},
			{"has no slot 9999", []string{"library", "set-element", "slot", "9999", "empty"}},
		} {
			u.fails(cli.ExitNotFound, c.says, c.args...)
		}
		u.nothing(target)
	})
	step("get", func(u terminal) {
		u.document(cli.ExitOK, []string{"id", "bytes", "contents", "discs"}, "get", id, "--to", target)
		if stdout, _ := u.must(cli.ExitOK, "compare", source, target); !strings.Contains(stdout, "equal") {
			u.t.Errorf("compare says %s", stdout)
		}
		u.fails(cli.ExitFailure, "--overwrite", "get", id, "--to", target)
		part := s.path("part")
		if stdout, _ := u.must(cli.ExitOK, "get", id[:8], "small/07", "--to", part); !strings.Contains(stdout, "restored 7.0 kB") {
			u.t.Errorf("get says %s", stdout)
		}
		for _, word := range []string{"get", "restore"} {
			if stdout, _ := u.must(cli.ExitOK, word, id, "--quote"); !strings.Contains(stdout, "--accept ") {
				u.t.Errorf("the quote of %s says %s", word, stdout)
			}
		}
	})
	step("get over what is there", func(u terminal) {
		if err := os.WriteFile(filepath.Join(target, "small", "07"), []byte("mine"), 0o644); err != nil {
			u.t.Fatal(err)
		}
		diff := u.document(cli.ExitPartial, []string{"differences"}, "compare", source, target)[0]
		if diff["equal"] != false || len(diff["differences"].([]any)) == 0 {
			u.t.Errorf("compare says %v", diff)
		}
		if stdout, _ := u.must(cli.ExitPartial, "compare", source, target); !strings.Contains(stdout, "small/07") {
			u.t.Errorf("compare says %s", stdout)
		}
		u.must(cli.ExitFailure, "get", id, "--to", target)
		if b, _ := os.ReadFile(filepath.Join(target, "small", "07")); string(b) != "mine" {
			u.t.Errorf("a refused get has written %q", b)
		}
		u.must(cli.ExitOK, "get", id, "--to", target, "--overwrite", "--quiet")
		u.must(cli.ExitOK, "compare", source, target)
	})
	s.T = t
	s.CheckTruth(0)
}
