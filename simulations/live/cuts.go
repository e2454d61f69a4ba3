package live

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// cut is what does not get through between a host and others. It is made at the host itself.
type cut struct {
	others  []*host
	ports   []int // of the others or of the host; empty: all
	except  []int // ports that are not cut
	leaves  bool  // what the host sends is lost
	arrives bool  // what it is sent is lost
	refused bool  // the sender is told at once, by a reset
}

// setCut makes or replaces a cut.
func (h *host) setCut(name string, c cut) error {
	h.cuts[name] = c
	return h.applyCuts()
}

// removeCut ends one; that there is none is no error.
func (h *host) removeCut(name string) error {
	delete(h.cuts, name)
	return h.applyCuts()
}

// applyCuts replaces all rules of the host in one transaction.
func (h *host) applyCuts() error {
	program, err := findAdmin("nft")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupPatience)
	defer cancel()
	if err := h.ns.run(ctx, h.ruleset(), program, "-f", "-"); err != nil {
		return fmt.Errorf("change what host %s is cut from: %w", h.name, err)
	}
	return nil
}

// ruleset has a chain for each direction, and below it one for each cut.
func (h *host) ruleset() string {
	var names []string
	for name := range h.cuts {
		names = append(names, name)
	}
	slices.Sort(names)
	arrives := []string{`iifname "lo" accept`} // the resets, too, that tell a sender here
	var leaves, chains []string
	for i, name := range names {
		c, chain := h.cuts[name], fmt.Sprint("cut", i)
		chains = append(chains, fmt.Sprintf("chain %s {\n%s\n}\n", chain, strings.Join(c.rules(), "\n")))
		if c.arrives {
			arrives = append(arrives, fmt.Sprintf("ip saddr %s jump %s", c.addresses(), chain))
		}
		if c.leaves {
			leaves = append(leaves, fmt.Sprintf("ip daddr %s jump %s", c.addresses(), chain))
		}
	}
	hook := func(name, hook string, rules []string) string {
		return fmt.Sprintf("chain %s { type filter hook %s priority 0; policy accept;\n%s\n}\n", name, hook, strings.Join(rules, "\n"))
	}
	return "table inet cuts\ndelete table inet cuts\ntable inet cuts {\n" + strings.Join(chains, "") + hook("arrives", "input", arrives) +
		hook("leaves", "output", leaves) + "}\n"
}

func (c *cut) addresses() string {
	texts := make([]string, len(c.others))
	for i, o := range c.others {
		texts[i] = o.ip
	}
	return list(texts)
}

// rules are what becomes of a packet to or from the others.
func (c *cut) rules() []string {
	verdict := "drop"
	var rules []string
	if c.refused {
		verdict = "reject with tcp reset"
		rules = append(rules, "tcp flags & rst == rst return") // the refusals themselves
	}
	for _, side := range []string{"sport", "dport"} {
		if len(c.except) > 0 {
			rules = append(rules, fmt.Sprintf("tcp %s %s return", side, portSet(c.except)))
		}
		if len(c.ports) > 0 {
			rules = append(rules, fmt.Sprintf("tcp %s %s %s", side, portSet(c.ports), verdict))
		}
	}
	if len(c.ports) == 0 {
		rules = append(rules, "meta l4proto tcp "+verdict)
	}
	return rules
}

func portSet(ports []int) string {
	texts := make([]string, len(ports))
	for i, p := range ports {
		texts[i] = fmt.Sprint(p)
	}
	return list(texts)
}

func list(texts []string) string { return "{ " + strings.Join(texts, ", ") + " }" }
