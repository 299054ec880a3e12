package differential

import (
	"fmt"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// call runs bridge for a container.
func (w *twin) call(label, command string, i int, more object) (stage.Answer, error) {
	config, err := w.c.stdin(w.Data(), w.resolv, more)
	if err != nil {
		return stage.Answer{}, err
	}
	path := w.boxes[i].Path
	if w.c.netns != "" {
		path = w.c.netns
	}
	answer, err := w.Host.CNI(w.Bin, stage.Call{
		Plugin: "bridge", Command: command, ContainerID: fmt.Sprintf("box%d", i+1), Netns: path,
		IfName: ifName, Args: w.c.envArgs(), Config: config,
	})
	if err != nil {
		return answer, err
	}
	w.note(fmt.Sprintf("%s %d", label, i+1), answer)
	return answer, nil
}

// note notes how a call ended.
func (w *twin) note(label string, answer stage.Answer) {
	switch {
	case answer.Exit == 0:
		w.calls[label] = succeeds
	case answer.Err != nil:
		w.calls[label] = failed(fmt.Sprintf("code %d: %s", answer.Err.Code, strings.TrimSpace(answer.Err.Msg+" "+answer.Err.Details)))
	default:
		w.calls[label] = failed(fmt.Sprintf("exit %d: %s%s", answer.Exit, answer.Stdout, answer.Stderr))
	}
}

// attach is ADD of all containers, and, where that works, CHECK and a second ADD,
// which has to fail.
func (w *twin) attach() error {
	for i := range w.boxes {
		answer, err := w.call("ADD", "ADD", i, nil)
		if err != nil || answer.Exit != 0 {
			return err
		}
		w.answers[i] = answer
		if err := w.learn(i); err != nil {
			return err
		}
	}
	if w.c.checks() {
		for i := range w.boxes {
			var prev object
			if err := unmarshal(w.answers[i].Stdout, &prev); err != nil {
				return err
			}
			if _, err := w.call("CHECK", "CHECK", i, object{"prevResult": prev}); err != nil {
				return err
			}
		}
	}
	_, err := w.call("ADD again", "ADD", 0, nil)
	return err
}

// attached says whether every ADD succeeded.
func (w *twin) attached() bool {
	return w.calls[fmt.Sprintf("ADD %d", len(w.boxes))] == succeeds
}

// detach is DEL of all containers, twice.
func (w *twin) detach() error {
	for _, label := range []string{"DEL", "DEL again"} {
		for i := range w.boxes {
			if _, err := w.call(label, "DEL", i, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
