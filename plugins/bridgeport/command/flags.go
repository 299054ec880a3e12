package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// choice is a flag's value: one of a list.
type choice struct {
	value *string
	list  []string
}

func (c choice) String() string { return *c.value }

// Type is empty: the flag's usage lists the words.
func (c choice) Type() string { return "" }

// Set takes the word if it is in the list.
func (c choice) Set(word string) error {
	if !slices.Contains(c.list, word) {
		return fmt.Errorf("%q is none of %s%s", word, strings.Join(c.list, ", "), show.Hint(word, c.list))
	}
	*c.value = word
	return nil
}

// oneOf gives a command a flag whose value is one of a list; *value is its default.
func oneOf(c *cobra.Command, flags *pflag.FlagSet, value *string, name, short, about string, list []string) {
	flags.VarP(choice{value, list}, name, short, about)
	_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// flagError adds the flag that was probably meant.
func flagError(c *cobra.Command, err error) error {
	missing, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return fmt.Errorf("%w%s", err, show.Hint(missing.GetSpecifiedName(), names))
}

// completing completes a word by what the node has; nothing for whoever may not see it.
func (o *options) completing(words func(view) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		var found []string
		_ = o.run(func(*show.Printer, []string) error {
			n, list, err := o.once()
			if err == nil {
				found = words(view{n, list, args})
			}
			return err
		})(c, args)
		found = slices.DeleteFunc(found, func(w string) bool { return w == "" || !strings.HasPrefix(w, begun) })
		slices.Sort(found)
		return slices.Compact(found), cobra.ShellCompDirectiveNoFileComp
	}
}

// networks are the names of the node's networks.
func (v view) networks() (words []string) {
	for _, w := range attachment.Networks(v.Node, v.list) {
		words = append(words, w.Name)
	}
	return words
}

// ports are those that are published.
func (v view) ports() (words []string) {
	for _, a := range v.list {
		for _, p := range a.Ports {
			words = append(words, p.Key())
		}
	}
	return words
}

// holders are what who knows somebody by: containers, pods, addresses, links, ports.
func (v view) holders() []string {
	words := v.ports()
	for _, a := range v.list {
		words = append(append(words, a.Container, a.Pod, a.Link), show.Texts(a.Addresses)...)
	}
	return words
}
