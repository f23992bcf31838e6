// Command agent is odarchive's agent for a burner host. It only wires: see internal/agent.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stop, abort := signals()
	if err := command(abort).ExecuteContext(stop); err != nil {
		fmt.Fprintln(os.Stderr, "odarchive-agent:", err)
		os.Exit(1)
	}
}

// signals returns a context that the first SIGINT or SIGTERM ends, and a channel that the second one closes.
func signals() (stop context.Context, abort <-chan struct{}) {
	stop, cancel := context.WithCancel(context.Background())
	second := make(chan struct{})
	arrived := make(chan os.Signal, 2)
	signal.Notify(arrived, os.Interrupt, syscall.SIGTERM)
	go func() { // until the process ends
		<-arrived
		cancel()
		<-arrived
		close(second)
		signal.Stop(arrived)
	}()
	return stop, second
}
