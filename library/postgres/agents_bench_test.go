package postgres

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// clockTick is the unit of processor times in /proc (proc_pid_stat(5): USER_HZ, which Linux fixes at 100 for programs).
const clockTick = time.Second / 100

// processorTime returns what this process and the processes of the database, which runs on this machine, have used. Those that
// came and went in between, as the workers of the autovacuum do, are left out.
func processorTime(b *testing.B, s *Store) time.Duration {
	b.Helper()
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		b.Fatal(err)
	}
	sum := time.Duration(self.Utime.Nano() + self.Stime.Nano())
	rows, err := s.pool.Query(context.Background(), `select pid from pg_stat_activity`)
	if err != nil {
		b.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		b.Fatal(err)
	}
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		for _, f := range fields[11:13] {
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(n) * clockTick
		}
	}
	return sum
}

// BenchmarkAgents is what 100 agents get done that take no time for anything: moves and verifies, all through Postgres.
func BenchmarkAgents(b *testing.B) {
	s := open(b)
	agents := make([]*agent, 100)
	for i := range agents {
		agents[i] = newAgent(b, s, fmt.Sprintf("lib%d", i), 20)
	}
	done := func() (n int64) {
		for _, a := range agents {
			n += a.done.Load()
		}
		return n
	}
	run := func(tasks int64) {
		target := done() + tasks
		var wg sync.WaitGroup
		for _, a := range agents {
			wg.Go(func() {
				for done() < target && !b.Failed() {
					n, err := a.turn(b.Context())
					if err == nil && n == 0 {
						_, err = s.pool.Exec(b.Context(), `
insert into task (library_id, kind, priority, disc_id, bytes) select library_id, 'verify', $2, id, recorded * 2048 from disc where library_id = $1
on conflict do nothing`, a.lib, library.PriorityScrub)
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	// A library has been at work for a while, and the autovacuum has seen what is in its tables.
	run(2000)
	if _, err := s.pool.Exec(b.Context(), `vacuum analyze`); err != nil {
		b.Fatal(err)
	}
	before := processorTime(b, s)
	b.ResetTimer()
	began := done()
	run(int64(b.N))
	b.StopTimer()
	b.ReportMetric(float64(processorTime(b, s)-before)/float64(done()-began)/float64(time.Millisecond), "cpu-ms/task")
	b.ReportMetric(float64(done()-began)/b.Elapsed().Seconds(), "tasks/s")
}
