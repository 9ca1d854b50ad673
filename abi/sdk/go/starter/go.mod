module task

go 1.18

require taskhost v0.0.0

replace taskhost => ./taskhost
