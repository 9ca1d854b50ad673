module plain

go 1.18
