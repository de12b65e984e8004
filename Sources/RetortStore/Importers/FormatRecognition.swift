import Foundation
import RetortCore

/// Recognises a file's format by most of its first records.
enum FormatRecognition {
    /// How many records are examined.
    private static let looks = 20

    /// The format of most records; the readers leave out the others and name them.
    /// - Parameter isOneOfMany: whether the file is one of a folder's, of which some say nothing about the format.
    /// - Throws: `RecordedTrajectoriesError` where no format fits, or several do.
    static func format(of file: RecordFile, isOneOfMany: Bool = false) throws -> TrajectoryFormat {
        let records = try file.beginning(looks)
        let path = file.url.path
        guard !records.isEmpty else { throw RecordedTrajectoriesError.empty(file: path) }
        if file.form == .whole, isMemory(records) { return .smolagents }
        let fits = Dictionary(
            uniqueKeysWithValues: TrajectoryFormat.named.map { format in (format, records.map { fit($0, format) }) })
        func count(_ format: TrajectoryFormat, _ kind: Fit) -> Int { fits[format]?.count { $0 == kind } ?? 0 }
        let some = TrajectoryFormat.named.filter { count($0, .yes) > 0 }
        let most = some.filter { count($0, .yes) > count($0, .no) }
        let best = most.map { count($0, .yes) }.max()
        let candidates = most.isEmpty && some.count > 1 ? some : most.filter { count($0, .yes) == best }
        switch candidates.count {
        case 1: return candidates[0]
        case 0:
            if isOneOfMany, records.contains(where: { $0.object != nil }),
                TrajectoryFormat.named.contains(where: { count($0, .no) == 0 })
            {
                throw RecordedTrajectoriesError.empty(file: path)
            }
            let strange = records.indices.first { index in fits.values.allSatisfy { $0[index] != .yes } }
            throw RecordedTrajectoriesError.unrecognised(file: path, names: names(records[strange ?? 0]))
        default: throw RecordedTrajectoriesError.ambiguous(file: path, candidates: candidates)
        }
    }

    /// Whether the elements of a list are the steps of one memory.
    static func isMemory(_ records: [JSONValue]) -> Bool {
        SmolagentsMemory.steps(.array(records)) != nil
            && records.contains { $0["step_number"] != nil || $0["plan"] != nil }
    }

    private static func names(_ record: JSONValue) -> [String] { record.object?.keys.sorted() ?? [] }

    enum Fit { case yes, maybe, no }

    private static func fit(_ record: JSONValue, _ format: TrajectoryFormat) -> Fit {
        func has(_ names: String...) -> Bool { names.allSatisfy { record[$0] != nil } }
        func when(_ condition: Bool) -> Fit { condition ? .yes : .no }
        // A record that is no object says nothing about the format. In logs, a record can have become a single text.
        guard record.object != nil else { return .maybe }
        switch format {
        case .auto: return .no
        case .trajectories: return when(has("task", "provenance", "steps"))
        case .tora: return when(has("idx", "question", "gt", "code"))
        case .fireact:
            let output = record["output"]?.string ?? ""
            return when(has("instruction", "output") && output.contains("Thought:") && output.contains("Action:"))
        case .toolbench:
            let isStage = record["tools"]?.array?.contains { $0["Name"] != nil } ?? false
            return when(
                has("answer_generation") || (has("instruction") && isStage && (has("chains") || has("conversations"))))
        case .atif: return when(record["schema_version"]?.string?.hasPrefix("ATIF-") ?? false)
        case .distillationLog:
            return when(has("question") && (has("log_data") || has("generated_answer") || has("response", "model_id")))
        case .messages:
            return when(record["messages"]?.array?.contains { $0["role"] != nil } ?? false && !has("state", "steps"))
        case .promptCompletion: return when(has("prompt", "completion"))
        case .shareGPT:
            guard record["tools"]?.array?.contains(where: { $0["Name"] != nil }) != true else { return .no }
            return when(record["conversations"]?.array?.contains { $0["from"] != nil || $0["role"] != nil } ?? false)
        case .smolagents:
            return when(SmolagentsMemory.steps(record) != nil && !has("provenance") && !has("schema_version"))
        case .claudeCode:
            guard let type = record["type"]?.string, record["payload"] == nil else { return .no }
            if ["user", "assistant"].contains(type) { return when(has("uuid", "message")) }
            return record["role"] == nil && record["call_id"] == nil ? .maybe : .no
        case .codex:
            if has("payload", "type") {
                return when(
                    ["session_meta", "response_item", "event_msg", "turn_context", "compacted"]
                        .contains(record["type"]?.string ?? ""))
            }
            if record["record_type"] != nil || (has("id", "timestamp") && record["type"] == nil) { return .maybe }
            let items = ["message", "reasoning", "function_call", "function_call_output", "local_shell_call"]
            return when(items.contains(record["type"]?.string ?? "") && record["uuid"] == nil)
        }
    }
}
