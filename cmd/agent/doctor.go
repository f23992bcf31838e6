package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/agent"
	"github.com/odarchive/odarchive/internal/agent/doctor"
)

func doctorCommand(config *string) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look at this host for what would keep robot and burners from working",
		Long: `Looks at the kernel's and udev's settings for disc drives, at programs that touch discs unasked, at
cdrskin, at the configured devices, their names and the rights to them, and at devices that nobody
configured. It changes nothing. Exit status 1 means that something does not work or is dangerous.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := agent.ReadConfig(*config)
			if err != nil {
				return err
			}
			all := config.Host().Examine(c.Context())
			if asJSON {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				if err := e.Encode(all); err != nil {
					return err
				}
			} else {
				for _, f := range all {
					fmt.Fprintln(c.OutOrStdout(), f)
				}
			}
			if doctor.Worst(all) == doctor.Problem {
				return errors.New("doctor: there are problems")
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return c
}

func drivesCommand(config *string) *cobra.Command {
	c := &cobra.Command{Use: "drives", Short: "Look at the drives of this host"}
	c.AddCommand(drivesMapCommand(config))
	return c
}

func drivesMapCommand(config *string) *cobra.Command {
	var slot int
	var asJSON bool
	var write string
	c := &cobra.Command{
		Use:   "map [DEVICE…]",
		Short: "Find out which drive of the robot is which device",
		Long: `A robot counts its drives in its own way, and Linux in another that changes. With --slot the robot carries the
disc of that slot to each of its drives, and it is seen in which device the disc arrives; all drives must be
empty, and the disc is put back. Without it the trays are opened one after the other, and you are asked.
Stop the agent before. The answer is [[drive]] sections for the configuration, with names that stay.`,
		RunE: func(c *cobra.Command, devices []string) error {
			config, err := agent.ReadConfig(*config)
			if err != nil {
				return err
			}
			m, err := agent.MapDrives(c.Context(), config, devices, slot, asker(c))
			if err != nil {
				return err
			}
			text := m.TOML()
			if asJSON {
				b, err := json.MarshalIndent(m, "", "  ")
				if err != nil {
					return err
				}
				text = string(b) + "\n"
			}
			if write != "" {
				return os.WriteFile(write, []byte(text), 0o644)
			}
			fmt.Fprint(c.OutOrStdout(), text)
			return nil
		},
	}
	c.Flags().IntVar(&slot, "slot", 0, "`number` of a slot with a disc that the robot may carry around")
	c.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	c.Flags().StringVar(&write, "write", "", "`file` for the answer")
	return c
}

// asker asks the person at the terminal which drive has opened.
func asker(c *cobra.Command) func(path string) (int, error) {
	in := bufio.NewReader(c.InOrStdin())
	return func(path string) (int, error) {
		fmt.Fprintf(c.ErrOrStderr(), "%s has opened its tray. Which drive of the robot is that? (number, 0 for none) ", path)
		line, err := in.ReadString('\n')
		if err != nil {
			return 0, fmt.Errorf("no answer: %w", err)
		}
		number, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return 0, fmt.Errorf("%q is no number", strings.TrimSpace(line))
		}
		return number, nil
	}
}
