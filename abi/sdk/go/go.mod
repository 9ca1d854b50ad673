module taskhost

go 1.18
