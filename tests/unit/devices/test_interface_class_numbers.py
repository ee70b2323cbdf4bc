"""Every attribute and method of the classes that must be there, written down a second time from the standard.

One line for each class and version: `class.version: attributes from number 2 on = their types; methods from number 1
on = the types of their parameters` (DLMS UA 1000-1, "Blue Book", chapter 4; IEC 62056-6-2). `*` leaves the type to the
meter. This table is not made from ours: it is there to disagree with it.
"""

import pytest

from amity.devices.interface_classes import INTERFACE_CLASSES
from tests.unit.devices.test_interface_class_tables import MUST

TYPES = {
    "*": None, "a": "array", "s": "structure", "b": "boolean", "bits": "bit-string", "dl": "double-long",
    "dlu": "double-long-unsigned", "o": "octet-string", "i": "integer", "l": "long", "u": "unsigned",
    "lu": "long-unsigned", "e": "enum", "dt": "date-time",
}  # fmt: skip

BLUE_BOOK = """
1.0: value=*;
3.0: value=* scaler_unit=s; reset=i
4.0: value=* scaler_unit=s status=* capture_time=o; reset=i
5.0: current_average_value=* last_average_value=* scaler_unit=s status=* capture_time=o start_time_current=o period=dlu
     number_of_periods=lu; reset=i next_period=i
6.0: register_assignment=a mask_list=a active_mask=o; add_register=s add_mask=s delete_mask=o
7.0: buffer=* capture_objects=a capture_period=dlu sort_method=e sort_object=s entries_in_use=dlu profile_entries=dlu;
     reset=i capture=i get_buffer_by_range=s get_buffer_by_index=s
7.1: buffer=* capture_objects=a capture_period=dlu sort_method=e sort_object=s entries_in_use=dlu profile_entries=dlu;
     reset=i capture=i
8.0: time=o time_zone=l status=u daylight_savings_begin=o daylight_savings_end=o daylight_savings_deviation=i
     daylight_savings_enabled=b clock_base=e; adjust_to_quarter=i adjust_to_measuring_period=i adjust_to_minute=i
     adjust_to_preset_time=i preset_adjusting_time=s shift_time=l
9.0: scripts=a; execute=lu
11.0: entries=a; insert=s delete=lu
15.0: object_list=a associated_partners_id=s application_context_name=* xdlms_context_info=s
      authentication_mechanism_name=* secret=o association_status=e; reply_to_hls_authentication=o change_hls_secret=o
      add_object=s remove_object=s
15.1: object_list=a associated_partners_id=s application_context_name=* xdlms_context_info=s
      authentication_mechanism_name=* secret=o association_status=e security_setup_reference=o;
      reply_to_hls_authentication=o change_hls_secret=o add_object=s remove_object=s
15.2: object_list=a associated_partners_id=s application_context_name=* xdlms_context_info=s
      authentication_mechanism_name=* secret=o association_status=e security_setup_reference=o user_list=a
      current_user=s; reply_to_hls_authentication=o change_hls_secret=o add_object=s remove_object=s add_user=s
      remove_user=s
15.3: object_list=a associated_partners_id=s application_context_name=* xdlms_context_info=s
      authentication_mechanism_name=* secret=o association_status=e security_setup_reference=o user_list=a
      current_user=s; reply_to_hls_authentication=o change_hls_secret=o add_object=s remove_object=s add_user=s
      remove_user=s
17.0: sap_assignment_list=a; connect_logical_device=s
18.0: image_block_size=dlu image_transferred_blocks_status=bits image_first_not_transferred_block_number=dlu
      image_transfer_enabled=b image_transfer_status=e image_to_activate_info=a; image_transfer_initiate=s
      image_block_transfer=s image_verify=i image_activate=i
20.0: calendar_name_active=o season_profile_active=a week_profile_table_active=a day_profile_table_active=a
      calendar_name_passive=o season_profile_passive=a week_profile_table_passive=a day_profile_table_passive=a
      activate_passive_calendar_time=o; activate_passive_calendar=i
21.0: thresholds=a monitored_value=s actions=a;
22.0: executed_script=s type=e execution_time=a;
23.0: comm_speed=e window_size_transmit=u window_size_receive=u max_info_field_length_transmit=u
      max_info_field_length_receive=u inter_octet_time_out=lu inactivity_time_out=lu device_address=lu;
23.1: comm_speed=e window_size_transmit=u window_size_receive=u max_info_field_length_transmit=lu
      max_info_field_length_receive=lu inter_octet_time_out=lu inactivity_time_out=lu device_address=lu;
40.0: push_object_list=a send_destination_and_method=s communication_window=a randomisation_start_interval=lu
      number_of_retries=u repetition_delay=lu; push=i
40.1: push_object_list=a send_destination_and_method=s communication_window=a randomisation_start_interval=lu
      number_of_retries=u repetition_delay=lu port_reference=o push_client_sap=i push_protection_parameters=a; push=i
40.2: push_object_list=a send_destination_and_method=s communication_window=a randomisation_start_interval=lu
      number_of_retries=u repetition_delay=s port_reference=o push_client_sap=i push_protection_parameters=a
      push_operation_method=e confirmation_parameters=s last_confirmation_date_time=dt; push=i reset=i
41.0: tcp_udp_port=lu ip_reference=o mss=lu nb_of_sim_conn=u inactivity_time_out=lu;
43.0: mac_address=o;
62.0: compact_buffer=o capture_objects=a template_id=u template_description=o capture_method=e; reset=i capture=i
62.1: compact_buffer=o capture_objects=a template_id=u template_description=o capture_method=e; reset=i capture=i
63.0: status_word=* mapping_table=s;
64.0: security_policy=e security_suite=e client_system_title=o server_system_title=o; security_activate=e
      global_key_transfer=a
64.1: security_policy=e security_suite=e client_system_title=o server_system_title=o certificates=a;
      security_activate=e key_transfer=a key_agreement=a generate_key_pair=e generate_certificate_request=e
      import_certificate=o export_certificate=s remove_certificate=s
70.0: output_state=b control_state=e control_mode=e; remote_disconnect=i remote_reconnect=i
71.0: monitored_value=s threshold_active=* threshold_normal=* threshold_emergency=* min_over_threshold_duration=dlu
      min_under_threshold_duration=dlu emergency_profile=s emergency_profile_group_id_list=a emergency_profile_active=b
      actions=s;
72.0: mbus_port_reference=o capture_definition=a capture_period=dlu primary_address=u identification_number=dlu
      manufacturer_id=lu version=u device_type=u access_number=u status=u alarm=u; slave_install=u slave_deinstall=i
      capture=i reset_alarm=i synchronize_clock=i data_send=a set_encryption_key=o transfer_key=o
72.1: mbus_port_reference=o capture_definition=a capture_period=dlu primary_address=u identification_number=dlu
      manufacturer_id=lu version=u device_type=u access_number=u status=u alarm=u configuration=lu
      encryption_key_status=e; slave_install=u slave_deinstall=i capture=i reset_alarm=i synchronize_clock=i data_send=a
      set_encryption_key=o transfer_key=o
111.0: account_mode_and_status=s current_credit_in_use=u current_credit_status=bits available_credit=dl
       amount_to_clear=dl clearance_threshold=dl aggregated_debt=dl credit_reference_list=a charge_reference_list=a
       credit_charge_configuration=a token_gateway_configuration=a account_activation_time=o account_closure_time=o
       currency=s low_credit_threshold=dl next_credit_available_threshold=dl max_provision=lu max_provision_period=dl;
       activate_account=i close_account=i reset_account=i
112.0: current_credit_amount=dl credit_type=e priority=u warning_threshold=dl limit=dl credit_configuration=bits
       credit_status=e preset_credit_amount=dl credit_available_threshold=dl period=o; update_amount=dl
       set_amount_to_value=dl invoke_credit=i
113.0: total_amount_paid=dl charge_type=e priority=u unit_charge_active=s unit_charge_passive=s
       unit_charge_activation_time=o period=dlu charge_configuration=bits last_collection_time=dt
       last_collection_amount=dl total_amount_remaining=dl proportion=lu; update_unit_charge=a
       activate_passive_unit_charge=i collect=i update_total_amount_remaining=dl set_total_amount_remaining=dl
115.0: token=o token_time=o token_description=a token_delivery_method=e token_status=s; enter=o
"""

Members = list[tuple[str, str | None]]


def entries() -> dict[tuple[int, int], tuple[Members, Members]]:
    """The table by class and version; a line that begins with a number begins an entry."""
    texts: list[str] = []
    for line in BLUE_BOOK.strip().splitlines():
        if line[0].isdigit():
            texts.append(line)
        else:
            texts[-1] += line
    return dict(map(entry, texts))


def entry(text: str) -> tuple[tuple[int, int], tuple[Members, Members]]:
    key, _, described = text.partition(":")
    class_id, _, version = key.partition(".")
    attributes, methods = map(members, described.split(";"))
    return (int(class_id), int(version)), (attributes, methods)


def members(text: str) -> Members:
    pairs = (word.split("=") for word in text.split())
    return [(name, TYPES[form]) for name, form in pairs]


STANDARD = entries()


def test_the_table_holds_every_version_of_every_class_that_must_be_there():
    assert set(STANDARD) == {key for key in INTERFACE_CLASSES if key[0] in MUST}
    assert {class_id for class_id, _ in STANDARD} == set(MUST)


@pytest.mark.parametrize("key", STANDARD, ids="{0[0]}-{0[1]}".format)
def test_attributes_have_the_numbers_names_and_types_of_the_standard(key: tuple[int, int]):
    logical_name, *others = INTERFACE_CLASSES[key].attributes
    assert (logical_name.name, logical_name.tag and logical_name.tag.label) == ("logical_name", "octet-string")
    assert [(spec.name, spec.tag and spec.tag.label) for spec in others] == STANDARD[key][0]


@pytest.mark.parametrize("key", STANDARD, ids="{0[0]}-{0[1]}".format)
def test_methods_have_the_numbers_names_and_parameters_of_the_standard(key: tuple[int, int]):
    assert [(spec.name, spec.parameter.label) for spec in INTERFACE_CLASSES[key].methods] == STANDARD[key][1]
