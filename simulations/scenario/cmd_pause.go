package scenario

var pauseCommand = Command{
	Name: "pause", Forms: []string{"pause"}, Does: "begins maintenance mode; wait for it with: until state all paused",
	parse: func(*words) (action, error) { return patchConfig(map[string]any{"pause": true}) },
}
