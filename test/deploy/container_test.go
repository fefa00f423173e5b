package deploy_test
const containerArg = "become-container"
func becomeContainer([]string) int { return 0 }
var tree struct{dir string}
func removeTree() int { return 0 }
