package pgserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Running returns the address of a database on the server that somebody runs in dir, for pgx; false when nobody does.
func Running(dir, database string) (dsn string, ok bool) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", false
	}
	data := filepath.Join(dir, "data")
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return "", false
	}
	// Process id, data folder, start, port, folder of the socket (PostgreSQL manual, "Database File Layout"; miscadmin.h).
	lines := strings.Split(string(b), "\n")
	if len(lines) < 5 {
		return "", false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 1 || !serves(pid, data) {
		return "", false
	}
	return fmt.Sprintf("host=%s user=%s dbname=%s", lines[4], user, database), true
}
