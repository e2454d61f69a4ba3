package scenario

var resumeCommand = Command{
	Name: "resume", Forms: []string{"resume"}, Does: "ends maintenance mode",
	parse: func(*words) (action, error) { return patchConfig(map[string]any{"pause": nil}) },
}
