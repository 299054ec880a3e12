package command

import (
	"io"
	"os"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/lint"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

func lintCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "lint [FILE…]",
		Short: "Find mistakes in network configurations before a runtime does",
		Long: `Examine configuration files, or with "-" standard input; without any the ones in
--conf-dir. Errors are what makes a call fail, in the words of the plugin itself;
warnings are unknown keys and choices that are seldom meant. Exit status: 0 clean,
1 warnings, 2 errors.`,
		Example: `  bridgeport lint
  bridgeport lint 10-podnet.conflist
  bridgeport init --runtime containerd --print | bridgeport lint -`,
		ValidArgsFunction: cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault),
	}
	c.RunE = o.run(func(p *show.Printer, files []string) error {
		if len(files) == 0 {
			networks, err := node.Networks(o.place.Conf)
			if err != nil {
				return err
			}
			for _, net := range networks {
				files = append(files, net.File)
			}
		}
		problems := []lint.Problem{}
		for _, f := range files {
			name, data, err := input(c.InOrStdin(), f)
			if err != nil {
				problems = append(problems, lint.Problem{File: name, Line: 1, Column: 1, Severity: "error", Text: err.Error()})
				continue
			}
			problems = append(problems, lint.File(name, data)...)
		}
		errors := 0
		for _, problem := range problems {
			if problem.Severity == "error" {
				errors++
			}
		}
		err := p.Value(problems, func() {
			for _, problem := range problems {
				severity := p.Warn(problem.Severity)
				if problem.Severity == "error" {
					severity = p.Bad(problem.Severity)
				}
				p.Line("%s:%d:%d: %s: %s", problem.File, problem.Line, problem.Column, severity, problem.Text)
			}
			p.Line("%s: %s, %s", show.Count(len(files), "file"), show.Count(errors, "error"), show.Count(len(problems)-errors, "warning"))
		})
		return exit(exit(err, errors > 0, 2), len(problems) > 0, 1)
	})
	return c
}

// input reads a file, or with "-" standard input, which is taken for a .conflist.
func input(stdin io.Reader, file string) (string, []byte, error) {
	if file == "-" {
		data, err := io.ReadAll(stdin)
		return "stdin.conflist", data, err
	}
	data, err := os.ReadFile(file)
	return file, data, err
}
