import Foundation
import RetortCore

/// Recognises a file's format by its first records.
enum FormatRecognition {
    /// How many records are examined.
    private static let looks = 20

    /// - Throws: `RecordedTrajectoriesError` where no format fits, or several do.
    static func format(of file: RecordFile) throws -> TrajectoryFormat {
        let records = try file.beginning(looks)
        guard !records.isEmpty else { throw RecordedTrajectoriesError.empty(file: file.url.path) }
        if file.form == .whole, isMemory(records) { return .smolagents }
        let candidates = TrajectoryFormat.named.filter { format in
            let told = records.map { fit($0, format) }
            return told.contains(.yes) && !told.contains(.no)
        }
        switch candidates.count {
        case 1: return candidates[0]
        case 0: throw RecordedTrajectoriesError.unrecognised(file: file.url.path, names: names(records[0]))
        default: throw RecordedTrajectoriesError.ambiguous(file: file.url.path, candidates: candidates)
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
            // A record that became a single text is recognised by its neighbours.
            if record.string != nil { return .maybe }
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
