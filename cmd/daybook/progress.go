package main

import (
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is a bar on standard error, if that is a terminal; else nothing is
// shown. Its methods may be called on every step.
type progress struct {
	out  *os.File // nil where nothing is shown
	step string
	bar  *progressbar.ProgressBar
}

func (p *program) newProgress() *progress {
	file, ok := p.stderr.(*os.File)
	if !ok || p.json || !term.IsTerminal(int(file.Fd())) {
		return &progress{}
	}
	return &progress{out: file}
}

// show moves the bar; another step begins another bar. A total of 0 is not
// known.
func (g *progress) show(step string, done, total int64) {
	if g.out == nil {
		return
	}
	if total == 0 {
		total = -1
	}
	if g.bar == nil || g.step != step {
		g.done()
		g.step = step
		g.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(g.out), progressbar.OptionSetDescription(step), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100e6),
			progressbar.OptionFullWidth())
	}
	_ = g.bar.Set64(done) // a bar that cannot be drawn is no reason to stop
}

// done takes the bar away.
func (g *progress) done() {
	if g.bar != nil {
		_ = g.bar.Finish() // as in show
		g.bar = nil
	}
}
