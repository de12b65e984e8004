import Foundation
import RetortTensor
import RetortTraining

// Sums gradients over processes, and gathers as many weights of which each has a part, and prints what that takes: one JSON line for each
// size, from rank 0. Started as several processes by
// Benchmarks/reduce.py, with torchrun's variables; ADDRESS is this process's own.

let variables = ProcessInfo.processInfo.environment
guard let place = try TeamPlace(variables), let address = variables["ADDRESS"] else {
    print("start it by Benchmarks/reduce.py")
    exit(2)
}
let meeting = try MeetingPlace(host: place.address, port: place.port, serves: place.rank == 0, seconds: 30)
let team = try ProcessTeam(
    meeting, rank: place.rank, size: place.size, address: address, joining: 30, seconds: 120)

func median(_ times: ArraySlice<Double>) -> Double { times.sorted()[times.count / 2] }

for mebibytes in (variables["MEBIBYTES"] ?? "1,16,64,256").split(separator: ",").compactMap({ Int($0) }) {
    let weights = try Tensor.zeros([mebibytes << 18]).requireGradient()
    try (weights * 1).sum().backward()
    var seconds: [Double] = []
    for _ in 0..<6 {
        let start = ContinuousClock.now
        try team.sumGradients(of: [weights])
        seconds.append(start.duration(to: .now) / .seconds(1))
    }
    var gathering: [Double] = []
    let parts = try Tensor.zeros([(mebibytes << 18) / place.size * place.size])
    for _ in 0..<6 {
        let start = ContinuousClock.now
        try team.gather(parts)
        gathering.append(start.duration(to: .now) / .seconds(1))
    }
    if place.rank == 0 {
        // The first one makes the buffers.
        let (sum, gather) = (median(seconds.dropFirst()), median(gathering.dropFirst()))
        print("{\"mebibytes\": \(mebibytes), \"seconds\": \(sum), \"gatherSeconds\": \(gather)}")
    }
}
