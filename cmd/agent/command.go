package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/odarchive/odarchive/internal/agent"
)

const long = `odarchive-agent runs on the host that has the disc robot and the burners. It calls the controller,
which tells it what to do: move discs, build images, burn, verify, read.

It is stopped with SIGTERM or SIGINT. Then it takes no more work and breaks off what can be done
again, but a move that the robot makes and a burn that has begun go on to their end, because a
broken-off burn spends its disc. That can take as long as a whole disc does. A second signal ends
burns too. What was begun is in the journal in the data folder, whatever happens: the next start
finds out where discs are, and repeats no move and no burn.

The configuration is a TOML file:

  name = "burner-1"            # of this agent
  library = "north"            # whose robot it drives
  controller = "unix:///run/odarchive/controller.sock"   # or "host:port"
  data = "/var/lib/odarchive-agent"                      # journal; belongs to this agent alone

  [scratch]                    # where images are built
  dir = "/var/tmp/odarchive"   # "scratch" in the data folder when left out
  limit = 200_000_000_000      # bytes; what the disk has when left out

  [tls]                        # needed for a controller on another host
  ca = "/etc/odarchive/ca.pem"
  cert = "/etc/odarchive/agent.pem"
  key = "/etc/odarchive/agent.key"
  server_name = "controller"   # the host in controller when left out
  plain = false                # true allows plain text to another host

  [robot]
  kind = "pioneer"
  port = "/dev/serial/by-id/usb-…"
  model = "CAC-V3000"
  units = 2                    # chained; 1 when left out
  first_player = 1
  baud = 9600                  # as delivered when left out
  speed = 1.0                  # of a simulated robot: how many times as fast it moves

  # or a robot with piles, by a dialect file or a dialect that is built in (docs/adding-a-robot.md):
  #   kind = "dialect"
  #   dialect = "rimage-liberty"       # or "/etc/odarchive/mine.toml"
  #   capacity = [108, 108, 108, 108]  # of the bins; as the dialect says when left out
  #   discs = [100, 100, 100, 0]       # in each when the robot is used for the first time
  #   drive_wires = ["4", "3"]         # how commands name the drives, from drive 1
  #   setup = ["c09d11n123"]           # lines that it forgets without power
  # or a Denon DN-1400F:
  #   kind = "denon"
  #   unit_id = 0
  # or a person, asked at the terminal in which the agent runs, and by "odarchive-agent person":
  #   kind = "manual"
  #   slots = 500
  #   drives = 1
  #   label = "QK-%04d"                # written on the disc of a slot
  # or a SCSI media changer:
  # kind = "scsi"
  # device = "/dev/sg3"
  # host_opens_tray = false    # true: it brings discs into open trays only

  [[drive]]
  number = 1                   # in the robot
  kind = "linux"
  path = "/dev/disk/by-path/…" # which stays when sr numbers change
  burner = "cdrskin"           # of libburn; 1.5.0 or newer
  read_only = false            # true does without a burner
  speed = 6                    # times the medium's single speed; 0 leaves it to the drive

  [[drive]]                    # a simulated one
  number = 2
  kind = "file"
  path = "/srv/jukebox/drive1"
`

// command is the command line.
func command(abort <-chan struct{}) *cobra.Command {
	var path, format string
	var verbose bool
	c := &cobra.Command{
		Use:   "odarchive-agent --config FILE",
		Short: "Run the disc robot and the burners of this host",
		Long:  long,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := logger(format, verbose)
			if err != nil {
				return err
			}
			config, err := agent.ReadConfig(path)
			if err != nil {
				return fmt.Errorf("%w\n  → `odarchive-agent --help` says what is in it", err)
			}
			m := agent.Main{Config: config, Log: log, Abort: abort}
			if config.Robot.Kind == "manual" && term.IsTerminal(int(os.Stdin.Fd())) {
				// Opened anew, because only so a read of it can be ended.
				tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
				if err != nil {
					return fmt.Errorf("open the terminal: %w", err)
				}
				m.Console = tty
			}
			return m.Run(c.Context())
		},
		SilenceUsage: true, SilenceErrors: true,
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())
	})
	read := func() (agent.Config, error) { return agent.ReadConfig(path) }
	c.AddCommand(robotCommand(read), personCommand(read), surveyCommand(read, abort), doctorCommand(&path), drivesCommand(&path))
	c.PersistentFlags().StringVarP(&path, "config", "c", "/etc/odarchive/agent.toml", "configuration `file`")
	c.Flags().StringVar(&format, "log-format", "text", "of the log on stderr: text or json")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log what is of use to a developer too")
	return c
}

func logger(format string, verbose bool) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if verbose {
		options.Level = slog.LevelDebug
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, options)), nil
	default:
		return nil, fmt.Errorf("--log-format %q: want text or json", format)
	}
}
