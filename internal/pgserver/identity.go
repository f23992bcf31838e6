package pgserver

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// runner makes a command run as somebody whom postgres accepts.
type runner struct {
	attr syscall.SysProcAttr
	uid  int // whose the files are, outside
}

func (r runner) apply(cmd *exec.Cmd) {
	attr := r.attr
	cmd.SysProcAttr = &attr
}

// insideID is who postgres is in its user namespace: anybody but root.
const insideID = 1000

// identity finds a way to run postgres: as we are; as root in a user namespace with one entry, in which it is somebody else while
// its files stay root's; or, where namespaces are not allowed, as the user postgres or nobody, who then owns the folder.
func identity(dir string) (runner, error) {
	if os.Geteuid() != 0 {
		return runner{uid: os.Geteuid()}, nil
	}
	namespace := runner{attr: syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: insideID, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: insideID, HostID: 0, Size: 1}},
	}}
	probe := exec.Command("true")
	namespace.apply(probe)
	if probe.Run() == nil {
		return namespace, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := osuser.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := traversable(dir, name); err != nil {
			return runner{}, err
		}
		if err := chownAll(dir, uid, gid); err != nil {
			return runner{}, fmt.Errorf("give %s to user %s: %w", dir, name, err)
		}
		return runner{attr: syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, uid: uid}, nil
	}
	return runner{}, errors.New("start PostgreSQL: it refuses to run as root, user namespaces are not allowed here, and there is no user postgres or nobody: run as another user")
}

// traversable reports a folder above dir that user can't pass through.
func traversable(dir, user string) error {
	for parent := filepath.Dir(dir); parent != "/"; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return fmt.Errorf("start PostgreSQL: %w", err)
		}
		if info.Mode()&0o001 == 0 {
			return fmt.Errorf("start PostgreSQL: it runs as user %s, who may not pass through %s: put the data folder elsewhere or `chmod o+x %s`", user, parent, parent)
		}
	}
	return nil
}

func chownAll(dir string, uid, gid int) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}

// maxSocketDir is the longest folder for a socket: sun_path has 108 bytes (unix(7)), the name ".s.PGSQL.5432" and NUL take 15.
const maxSocketDir = 107 - len("/.s.PGSQL.5432")

// socketDir makes the folder of the server's socket: in its own folder or, when that path is too long, a short one whose name
// follows from it.
func socketDir(dir string, run runner) (string, error) {
	socket := filepath.Join(dir, "socket")
	if len(socket) > maxSocketDir {
		sum := sha256.Sum256([]byte(dir))
		socket = filepath.Join(os.TempDir(), "odarchive-"+hex.EncodeToString(sum[:8]))
	}
	if err := os.Mkdir(socket, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("make the folder of PostgreSQL's socket: %w", err)
	}
	info, err := os.Lstat(socket)
	if err != nil {
		return "", fmt.Errorf("make the folder of PostgreSQL's socket: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || int(st.Uid) != os.Geteuid() && int(st.Uid) != run.uid {
		return "", fmt.Errorf("PostgreSQL's socket can't lie in %s: it is somebody else's", socket)
	}
	if run.uid != os.Geteuid() {
		if err := os.Chown(socket, run.uid, -1); err != nil {
			return "", fmt.Errorf("make the folder of PostgreSQL's socket: %w", err)
		}
	}
	return socket, nil
}
