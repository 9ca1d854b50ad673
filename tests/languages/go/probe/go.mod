module probe

go 1.18

require taskhost v0.0.0

replace taskhost => ../../../../abi/sdk/go
