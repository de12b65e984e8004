/// Why processes cannot train together, or can no more.
public enum TeamError: Error, CustomStringConvertible, Equatable {
    case incomplete(given: [String], missing: [String])
    case contradiction(String)
    case invalid(variable: String, value: String, wanted: String)
    case noAddress(TeamPlace.Launcher)
    case portTaken(address: String, port: Int)
    case unreachable(address: String, port: Int, seconds: Double, why: String)
    case rankTwice(Int)
    case missing(ranks: [Int], size: Int, seconds: Double)
    case otherProgram(rank: Int, host: String, theirs: String, ours: String)
    case loopback(rank: Int, host: String, address: String)
    case notConnected(String)
    /// Some processes have ended or are out of reach; none where nobody could tell which.
    case lost([String])
    case silent([String], seconds: Double)
    case stopped(String)
    /// Another process was told to end.
    case interrupted
    case outOfStep(String)
    case noDevice(rank: Int, why: String)

    /// What failed, at which process, and what to do next.
    public var description: String {
        switch self {
        case .incomplete(let given, let missing):
            "\(given.joined(separator: " and ")) \(given.count > 1 ? "are" : "is") set, and \(missing.joined(separator: " and ")) "
                + "\(missing.count > 1 ? "are" : "is") not: several processes that train need them all. "
                + "To train in this process alone, give --alone"
        case .contradiction(let words):
            "\(words); set the variables alike, or give --alone to train in this process alone"
        case .invalid(let variable, let value, let wanted): "\(variable) must be \(wanted), not '\(value)'"
        case .noAddress(let launcher):
            "\(launcher.rawValue) does not say on which host rank 0 is; give every process MASTER_ADDR and MASTER_PORT"
                + (launcher == .openMPI ? ", as with 'mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500 …'" : "")
        case .portTaken(let address, let port):
            "port \(port) of \(address), where the processes are to meet, is in use by another program; set MASTER_PORT to a free one"
        case .unreachable(let address, let port, let seconds, let why):
            "rank 0 did not answer at \(address), port \(port), within \(Self.words(seconds)) (\(why)); is MASTER_ADDR the host of rank 0, "
                + "was it started, and may this host connect to it?"
        case .rankTwice(let rank):
            "two processes have rank \(rank); give each its own RANK, or a MASTER_PORT of their own to different trainings"
        case .missing(let ranks, let size, let seconds):
            "of \(size) processes, \(Self.names(ranks)) did not come within \(Self.words(seconds)); start all of them, "
                + "or raise --peer-timeout"
        case .otherProgram(let rank, let host, let theirs, let ours):
            "rank \(rank) on \(host) was started otherwise: \(theirs), and here \(ours); all processes of a training must be the same program "
                + "with the same arguments. Trainings that have nothing to do with each other want --alone"
        case .loopback(let rank, let host, let address):
            "rank \(rank) on \(host) knows itself by \(address) only, where other hosts do not reach it; set MASTER_ADDR to an address of the network, "
                + "or GLOO_SOCKET_IFNAME to its interface"
        case .notConnected(let why): "the processes could not connect to each other: \(why)"
        case .lost(let who):
            "\(Self.subject(who)) ended or cannot be reached any more, so the training ends here, too. Look there for the cause; "
                + "the same command goes on from the last checkpoint, with as many processes as you like"
        case .silent(let who, let seconds):
            "\(Self.subject(who)) did not answer within \(Self.words(seconds)), so the training ends here, too. If its part of an update takes as long, "
                + "raise --peer-timeout; the same command goes on from the last checkpoint"
        case .interrupted:
            "another process of the training was told to end, so it ends here, too; the same command goes on from the last update"
        case .stopped(let why): "rank 0 ended the training: \(why)"
        case .noDevice(let rank, let why):
            "rank 0 computes on a GPU, and rank \(rank) cannot: \(why)"
        case .outOfStep(let what): "the processes are out of step: \(what); are all of them the same version?"
        }
    }

    private static func words(_ seconds: Double) -> String {
        seconds == seconds.rounded() ? "\(Int(seconds)) seconds" : "\(seconds) seconds"
    }

    private static func names(_ ranks: [Int]) -> String {
        let shown = ranks.prefix(8).map(String.init).joined(separator: ", ")
        return "rank \(shown)" + (ranks.count > 8 ? " and \(ranks.count - 8) more" : "")
    }

    private static func subject(_ who: [String]) -> String {
        who.isEmpty ? "another process of the training" : who.prefix(4).joined(separator: " and ")
    }
}
