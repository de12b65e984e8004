/// What happened to a file's records: none is left out or changed without a name and a place.
public struct ImportAccount: Codable, Sendable, Hashable {
    /// A record that became no trajectory.
    public struct Rejection: Codable, Sendable, Hashable {
        /// The record's line or number, from 1.
        public let record: Int
        /// Why, in words that name the fault.
        public let reason: String
    }

    /// How many records the file has.
    public var records = 0
    /// How many trajectories were made from them.
    public var imported = 0
    /// The records left out, in file order.
    public var rejections: [Rejection] = []
    /// Faults that were corrected, by name, with the records that had them.
    public var repairs: [String: [Int]] = [:]
    /// Content of the records that became no part of a trajectory, by name, with the records that have it.
    public var unread: [String: [Int]] = [:]
    /// The format that the file was read as; nil where there was no choice.
    public var format: TrajectoryFormat?
    /// How many trajectories are of the given questions; nil where none were given.
    public var matched: Int?

    /// An account of no records.
    public init() {}

    /// An account in which every record became a trajectory.
    public init(all count: Int) { (records, imported) = (count, count) }

    /// Adds the account of another file.
    /// - Parameter place: the file, where there are several.
    mutating func merge(_ other: ImportAccount, _ place: String) {
        records += other.records
        imported += other.imported
        rejections += other.rejections.map { Rejection(record: $0.record, reason: place + $0.reason) }
        for (fault, records) in other.repairs { repairs[place + fault, default: []] += records }
        for (what, records) in other.unread { unread[place + what, default: []] += records }
    }

    mutating func reject(_ record: Int, _ reason: String) {
        rejections.append(Rejection(record: record, reason: reason))
    }

    mutating func repair(_ record: Int, _ fault: String) { repairs[fault, default: []].append(record) }

    mutating func leaveUnread(_ record: Int, _ what: String) { unread[what, default: []].append(record) }

    /// - Parameter place: the file, where there are several.
    mutating func add(_ record: Int, _ notes: RecordNotes, _ place: String = "") {
        for fault in notes.repairs { repair(record, place + fault) }
        for what in notes.unread { leaveUnread(record, place + what) }
    }
}

extension ImportAccount: CustomStringConvertible {
    /// One line for each fault, with its first few places.
    public var description: String {
        var lines = [
            "\(imported) trajectories of \(records) records" + (format.map { ", read as \($0.rawValue)" } ?? "")
        ]
        if let matched { lines.append("  \(matched) of \(imported) trajectories are of the given questions") }
        for (fault, places) in repairs.sorted(by: { $0.key < $1.key }) {
            lines.append("  put right, \(places.count) times: \(fault) (\(Self.places(places)))")
        }
        for (what, places) in unread.sorted(by: { $0.key < $1.key }) {
            lines.append("  not read, \(places.count) times: \(what) (\(Self.places(places)))")
        }
        for (reason, rejected) in Dictionary(grouping: rejections, by: \.reason).sorted(by: { $0.key < $1.key }) {
            lines.append("  left out, \(rejected.count) times: \(reason) (\(Self.places(rejected.map(\.record))))")
        }
        return lines.joined(separator: "\n")
    }

    private static func places(_ records: [Int]) -> String {
        (records.count == 1 ? "record " : "records ")
            + (records.prefix(5).map(String.init) + (records.count > 5 ? ["…"] : [])).joined(separator: ", ")
    }
}
