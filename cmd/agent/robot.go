package main

import (
	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/agent"
)

// robotCommand tries a robot out. Read gives the configuration.
func robotCommand(read func() (agent.Config, error)) *cobra.Command {
	var transcript string
	c := &cobra.Command{Use: "robot", Short: "Try the robot out, or say what was done to it by hand, while no agent runs"}
	c.PersistentFlags().StringVar(&transcript, "record", "", "new `file` for the traffic of the line")
	tryout := func(c *cobra.Command) (*agent.Tryout, error) {
		config, err := read()
		return &agent.Tryout{Config: config, In: c.InOrStdin(), Out: c.OutOrStdout(), Transcript: transcript}, err
	}
	c.AddCommand(&cobra.Command{
		Use: "probe", Short: "Find the robot and show what it says of itself; moves nothing", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			t, err := tryout(c)
			if err != nil {
				return err
			}
			return t.Probe(c.Context())
		},
	})
	var slot int
	exercise := &cobra.Command{
		Use: "exercise", Short: "Carry a disc to every drive and back, step by step, with you watching", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			t, err := tryout(c)
			if err != nil {
				return err
			}
			return t.Exercise(c.Context(), slot)
		},
	}
	exercise.Flags().IntVar(&slot, "slot", 1, "slot of a disc that may be lost")
	c.AddCommand(exercise, &cobra.Command{
		Use: "order [WORDS]", Short: "Of a robot with piles: " + agent.OrderHelp,
		RunE: func(c *cobra.Command, words []string) error {
			t, err := tryout(c)
			if err != nil {
				return err
			}
			return t.Order(c.Context(), words)
		},
	}, &cobra.Command{
		Use: "settle SLOT", Short: "Of a person as the robot: the drive in doubt has the disc of a slot, or none with 0", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, words []string) error {
			t, err := tryout(c)
			if err != nil {
				return err
			}
			return t.Settle(c.Context(), words[0])
		},
	})
	return c
}

// personCommand is the person's side of a robot of the kind manual.
func personCommand(read func() (agent.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use: "person", Short: "Be the robot: see which disc is to go where, and say when it is there", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := read()
			if err != nil {
				return err
			}
			return agent.Attend(c.Context(), config.Data, c.InOrStdin(), c.OutOrStdout())
		},
	}
}
