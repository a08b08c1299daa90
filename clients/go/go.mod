module tfhific/clients/go

go 1.19
