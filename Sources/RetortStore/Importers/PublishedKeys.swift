import Foundation
import RetortCore

/// The names in the records of published sets. The sets' readers use what they know; this reports anything else.
enum PublishedKeys {
    private static let keys: [TrajectoryFormat: RecordKeys] = [
        .tora: RecordKeys(
            "a record", read: ["idx", "question", "gt", "gt_cot", "code", "pred"],
            harmless: ["report", "score", "answer", "cot"]),
        .fireact: RecordKeys("a record", read: ["instruction", "output"]),
        .toolbench: RecordKeys(
            "a record", read: ["tools", "instruction", "conversations", "chains", "answer_generation"],
            harmless: [
                "id", "tree", "forward_args", "compare_candidates", "win", "try_count", "trys", "method", "total_steps",
                "final_answer",
            ]),
        .atif: RecordKeys(
            "a document",
            read: [
                "schema_version", "session_id", "trajectory_id", "agent", "steps", "extra", "is_copied_context",
                "subagent_trajectories",
            ], harmless: ["final_metrics"]),
        .distillationLog: RecordKeys(
            "a record",
            read: [
                "question", "id", "level", "type", "split", "dataset_name", "true_answer", "answer", "generated_answer",
                "response", "messages", "log_data", "error", "score", "cost", "model_id", "input_tokens",
                "output_tokens",
            ],
            harmless: ["success", "timestamp", "start_time", "end_time", "total_tokens", "prompt", "is_correct"]),
    ]

    /// Notes the names in a file's records that are not read.
    static func check(_ url: URL, _ format: TrajectoryFormat, _ account: inout ImportAccount) throws {
        guard let known = keys[format] else { return }
        var told = account
        try RecordFile(url).forEach { record, number in
            guard case .success(let value) = record else { return }
            var notes = RecordNotes()
            known.check(value, &notes)
            told.add(number, notes)
        }
        account = told
    }
}
